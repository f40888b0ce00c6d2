import { PacketError } from '../../errors.js';
import type { FlowTuple } from '../../steering/compile-rules.js';

/** What decides where an entry may stand in a device's table. */
export interface RankedEntry {
  readonly tuple: FlowTuple;
  readonly queue: number;
  /** Header bits of its rule. */
  readonly bits: number;
  /** What messages call it. */
  readonly what: string;
}

/** An entry in a device's table. */
export interface PlacedEntry extends RankedEntry {
  readonly location: number;
}

/**
 * Finds locations for new entries, so that of two that match the same packet and send it to different queues, the one with more bits
 * has the lower location, and decides. The entries are spread over what is free: later ones may have to go between them.
 *
 * @param locations of the table
 * @param taken those that have an entry, be it others'
 * @param placed entries that keep their place
 * @param wanted those first that win over others
 * @returns one location for each that is wanted
 * @throws PacketError FLOW_TABLE_FULL
 */
export function placeEntries(
  locations: number,
  taken: ReadonlySet<number>,
  placed: readonly PlacedEntry[],
  wanted: readonly RankedEntry[],
): number[] {
  const free = Array.from({ length: locations }, (_, location) => location).filter((location) => !taken.has(location));
  const found: number[] = [];
  const all = [...placed];
  let first = 0; // in `free`: the list is in order, and so are its locations
  for (const [index, entry] of wanted.entries()) {
    const left = wanted.length - index;
    let lowest = first;
    let highest = free.length - left;
    for (const other of all) {
      if (!clash(entry, other)) continue;
      // Of equals the oldest wins.
      if (other.bits >= entry.bits) while (lowest < free.length && free[lowest]! < other.location) lowest++;
      else while (highest >= 0 && free[highest]! > other.location) highest--;
    }
    if (lowest > highest) throw noPlace(entry, free.length, wanted.length);
    const at = lowest + Math.floor((highest - lowest) / (left + 1));
    const location = free[at]!;
    found.push(location);
    all.push({ ...entry, location });
    first = at + 1;
  }
  return found;
}

/**
 * Checks that of entries that keep their places the right ones decide; a change of targets can make it matter.
 *
 * @throws PacketError FLOW_TABLE_FULL
 */
export function checkOrder(placed: readonly PlacedEntry[]): void {
  forClashes(placed, (a, b) => {
    if (a.bits !== b.bits && a.bits > b.bits !== a.location < b.location) throw noWay(a.what);
  });
}

/** Checks that it does not matter which entry decides. @throws PacketError RULES_UNSUPPORTED */
export function checkNoClash(device: string, entries: readonly RankedEntry[]): void {
  forClashes(entries, (a, b) => {
    throw new PacketError(
      'RULES_UNSUPPORTED',
      `${a.what} and ${b.what} send some packets to different queues, and the driver of ${device} orders entries itself`,
      { remedy: 'rules of which no packet matches two with different targets' },
    );
  });
}

function forClashes<Entry extends RankedEntry>(entries: readonly Entry[], found: (a: Entry, b: Entry) => void): void {
  for (let i = 0; i < entries.length; i++) {
    for (let j = 0; j < i; j++) if (clash(entries[i]!, entries[j]!)) found(entries[i]!, entries[j]!);
  }
}

/** Whether it matters which of two entries decides. */
function clash(a: RankedEntry, b: RankedEntry): boolean {
  return a.queue !== b.queue && overlap(a.tuple, b.tuple);
}

/** Whether a packet can match both. */
function overlap(a: FlowTuple, b: FlowTuple): boolean {
  for (let i = 0; i < a.mask.length; i++) {
    if (((a.value[i]! ^ b.value[i]!) & a.mask[i]! & b.mask[i]!) !== 0) return false;
  }
  return true;
}

function noPlace({ what }: RankedEntry, free: number, wanted: number): PacketError {
  if (free < wanted) {
    return new PacketError(
      'FLOW_TABLE_FULL',
      `${what}: the device's table has ${free} free locations for ${wanted} entries`,
      {
        remedy:
          'fewer rules, with address prefixes and aligned port ranges; `tp4 steer list` shows whose entries are there',
      },
    );
  }
  return noWay(what);
}

function noWay(what: string): PacketError {
  return new PacketError('FLOW_TABLE_FULL', `${what}: its entry must go between others, where no location is free`, {
    remedy: 'close the sockets of the interface and open them with the new rules',
  });
}
