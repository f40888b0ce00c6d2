import { PacketError } from '../../errors.js';
import type { EthtoolPort, UseEthtool } from '../ethtool.js';
import type { Change, Journal } from '../journal.js';
import { matchKey, type WantedEntry } from './directed-rules.js';
import { describeEntry, findNoted, NTUPLE_SETTING } from './ntuple-changes.js';
import { NtupleTable } from './ntuple-table.js';
import { checkNoClash, checkOrder, type PlacedEntry, placeEntries } from './placement.js';

/** A device whose flow director sockets of this process share. */
export interface DirectedDevice {
  readonly name: string;
  readonly index: number;
  /** Inode of its network namespace. */
  readonly namespace: number;
  readonly useEthtool: UseEthtool;
  readonly journal: Journal;
}

/** Entries of a socket's new rules, which are in the device's table beside those of the old ones. */
export interface PreparedEntries {
  /** Removes the old entries that the new rules do not have. */
  finish(): void;
  /** Removes the new ones. */
  cancel(): void;
}

/** What a change has done so far. */
interface Done {
  /** Keys of entries that the socket did not have. */
  readonly added: string[];
  /** Entries that went to another queue, and which. */
  readonly redirected: [HeldEntry, formerQueue: number][];
}

/** An entry that this process has added. */
interface HeldEntry extends PlacedEntry {
  queue: number;
  location: number;
  readonly match: Uint8Array;
  /** By {@link matchKey}. */
  readonly key: string;
  /** As the journal has it. */
  change: Change;
  /** Sockets that want it. */
  users: number;
}

/**
 * The entries that sockets of this process have in one device's flow director. They are noted in the journal before they are made, because the
 * device keeps them when the process ends; whoever finds them there removes them.
 */
export class DeviceDirector {
  readonly #device: DirectedDevice;
  readonly #held = new Map<string, HeldEntry>();

  constructor(device: DirectedDevice) {
    this.#device = device;
  }

  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /**
   * Adds the entries of a socket's new rules.
   *
   * @param before keys of the entries that the socket has
   * @returns the keys that it has then, and how to end the change
   * @throws PacketError RULES_UNSUPPORTED, FLOW_TABLE_FULL, NO_QUEUE, NO_PRIVILEGE, SYSTEM_CALL; nothing is changed then
   */
  prepare(
    wanted: readonly WantedEntry[],
    before: ReadonlySet<string>,
  ): PreparedEntries & { readonly keys: Set<string> } {
    const keys = new Set(wanted.map(({ match }) => matchKey(match.bytes)));
    const gone = [...before].filter((key) => !keys.has(key));
    const done: Done = { added: [], redirected: [] };
    if (wanted.length > 0) {
      this.#exclusively((table) => {
        try {
          this.#add(table, wanted, before, new Set(gone), done);
        } catch (error) {
          this.#undo(table, done);
          throw error;
        }
      });
    }
    const cancel = (): void => this.#attempt((table) => this.#undo(table, done));
    return { keys, cancel, finish: () => this.#drop(gone) };
  }

  #add(
    table: NtupleTable,
    wanted: readonly WantedEntry[],
    before: ReadonlySet<string>,
    gone: ReadonlySet<string>,
    done: Done,
  ): void {
    this.#checkQueues(table, wanted);
    const fresh: WantedEntry[] = [];
    const redirected: [HeldEntry, number][] = [];
    for (const entry of wanted) {
      const key = matchKey(entry.match.bytes);
      const held = this.#held.get(key);
      if (held === undefined) fresh.push(entry);
      else if (held.queue !== entry.queue) {
        if (!before.has(key) || held.users > 1) throw this.#heldElsewhere(entry, held);
        redirected.push([held, entry.queue]);
      } else if (!before.has(key)) {
        held.users++;
        done.added.push(key);
      }
    }
    const stay = [...this.#held.values()].filter(({ key, users }) => users > 1 || !gone.has(key));
    const places = this.#place(table, fresh, redirected, stay);
    // New entries first: a packet that they keep on its queue would leave it for a moment otherwise.
    if (fresh.length > 0) this.#insert(table, fresh, places, done.added);
    for (const [held, queue] of redirected) {
      done.redirected.push([held, held.queue]);
      this.#redirect(table, held, queue, places === undefined);
    }
  }

  #insert(
    table: NtupleTable,
    fresh: readonly WantedEntry[],
    places: readonly number[] | undefined,
    added: string[],
  ): void {
    const { journal } = this.#device;
    const changes = fresh.map(({ match, queue }, i) => this.#change(match.bytes, queue, places?.[i]));
    journal.add(...changes);
    const notMade = new Set(changes);
    try {
      for (const [i, { match, queue, bits, what }] of fresh.entries()) {
        const location = table.insert(match.bytes, { queue }, places?.[i], what);
        const key = matchKey(match.bytes);
        const change = changes[i]!;
        this.#held.set(key, {
          key,
          match: match.bytes,
          tuple: match.tuple,
          queue,
          bits,
          what,
          location,
          change,
          users: 1,
        });
        notMade.delete(change);
        added.push(key);
      }
    } finally {
      if (notMade.size > 0) journal.remove(...notMade);
    }
    this.#noteAsTold(table, added);
  }

  /** Sends what an entry matches to another queue, in one step where it can be said at which location. */
  #redirect(table: NtupleTable, held: HeldEntry, queue: number, driverPicks: boolean): void {
    const { journal } = this.#device;
    const former = held.change;
    held.change = this.#change(held.match, queue, driverPicks ? undefined : held.location);
    journal.add(held.change);
    if (driverPicks) table.remove(held.location);
    held.location = table.insert(held.match, { queue }, driverPicks ? undefined : held.location, held.what);
    held.queue = queue;
    journal.remove(former);
    this.#noteAsTold(table, [held.key]);
  }

  /** Drivers tell an entry in their own way; the journal must have it so, or nobody would find it there. */
  #noteAsTold(table: NtupleTable, keys: readonly string[]): void {
    const before: Change[] = [];
    const after: Change[] = [];
    for (const key of keys) {
      const held = this.#held.get(key)!;
      const told = table.entry(held.location);
      if (told === undefined) continue;
      const note = describeEntry(told, held.location);
      if (note === held.change.after) continue;
      before.push(held.change);
      held.change = { ...held.change, after: note };
      after.push(held.change);
    }
    if (after.length === 0) return;
    this.#device.journal.add(...after);
    this.#device.journal.remove(...before);
  }

  #checkQueues(table: NtupleTable, wanted: readonly WantedEntry[]): void {
    const queues = table.queues();
    const beyond = queues === undefined ? undefined : wanted.find(({ queue }) => queue >= queues);
    if (beyond === undefined) return;
    const { name } = this.#device;
    throw new PacketError(
      'NO_QUEUE',
      `${beyond.what}.to: ${name} has no receive queue ${beyond.queue}, only ${queues}`,
      {
        remedy: `a queue from 0 to ${queues! - 1}; \`ethtool -L ${name} combined N\` changes how many there are`,
      },
    );
  }

  /** @returns locations of the new entries; undefined where the driver picks them */
  #place(
    table: NtupleTable,
    fresh: readonly WantedEntry[],
    redirected: readonly (readonly [HeldEntry, number])[],
    stay: readonly HeldEntry[],
  ): number[] | undefined {
    const { locations, driverPicks } = table.size();
    const queues = new Map(redirected);
    const placed = stay.map((held) => ({ ...held, queue: queues.get(held) ?? held.queue }));
    const ranked = fresh.map(({ match, queue, bits, what }) => ({ tuple: match.tuple, queue, bits, what }));
    if (driverPicks) {
      checkNoClash(this.#device.name, [...placed, ...ranked]);
      return undefined;
    }
    checkOrder(placed);
    const there = table.list();
    const matches = new Set(fresh.map(({ match }) => matchKey(match.bytes)));
    const same = there.find(({ match }) => matches.has(matchKey(match)));
    if (same !== undefined) throw this.#heldByOthers(same.location);
    return placeEntries(locations, new Set(there.map(({ location }) => location)), placed, ranked);
  }

  #change(match: Uint8Array, queue: number, location: number | undefined): Change {
    const { name, index, namespace } = this.#device;
    const after = describeEntry({ match, action: { queue } }, location);
    return { setting: NTUPLE_SETTING, interface: name, index, namespace, before: '', after };
  }

  /** Removes entries of one socket; those that others want, too, stay. Never throws: what is left stays noted. */
  #drop(keys: readonly string[]): void {
    if (keys.length > 0) this.#attempt((table) => this.#dropFrom(table, keys));
  }

  #attempt(work: (table: NtupleTable) => void): void {
    try {
      this.#exclusively(work);
    } catch {
      // No ioctl, no lock: the next program that finds the note removes what is left.
    }
  }

  #undo(table: NtupleTable, { added, redirected }: Done): void {
    for (const [held, queue] of redirected) {
      const { driverPicks } = table.size();
      if (held.queue !== queue) this.#redirect(table, held, queue, driverPicks);
    }
    this.#dropFrom(table, added);
  }

  /** The last in the table first: what the first send to its queue never goes by a later one in between. */
  #dropFrom(table: NtupleTable, keys: readonly string[]): void {
    const removed: Change[] = [];
    const entries = keys.map((key) => this.#held.get(key)).filter((held) => held !== undefined);
    for (const held of entries.sort((a, b) => b.location - a.location)) {
      if (--held.users > 0) continue;
      this.#held.delete(held.key);
      try {
        if (findNoted(table, held.change) !== undefined) table.remove(held.location);
        removed.push(held.change);
      } catch {
        // stays noted
      }
    }
    this.#device.journal.remove(...removed);
  }

  /** Removes the entries of a socket that is closed. Never throws. */
  release(keys: ReadonlySet<string>): void {
    this.#drop([...keys]);
  }

  /** Removes every entry: the process ends. Never throws. */
  releaseAll(): void {
    for (const held of this.#held.values()) held.users = 1;
    this.#drop([...this.#held.keys()]);
  }

  #exclusively<Result>(work: (table: NtupleTable) => Result): Result {
    const { name, journal, useEthtool } = this.#device;
    return journal.exclusively(() => useEthtool(name, (port: EthtoolPort) => work(new NtupleTable(port, name))));
  }

  #heldElsewhere({ what }: WantedEntry, held: HeldEntry): PacketError {
    const { name } = this.#device;
    return new PacketError(
      'RULES_UNSUPPORTED',
      `${what}: another rule of this program sends the same packets of ${name} to queue ${held.queue}`,
      { remedy: 'one rule for the same packets, or close the other socket first' },
    );
  }

  #heldByOthers(location: number): PacketError {
    const { name } = this.#device;
    return new PacketError(
      'RULES_UNSUPPORTED',
      `receive: entry ${location} of the flow director of ${name} is for the same packets, and not of this program`,
      { remedy: `\`tp4 steer list ${name}\` shows it, \`tp4 steer del ${name} ${location}\` removes it` },
    );
  }
}
