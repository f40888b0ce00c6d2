import { PacketError } from '../../errors.js';
import { compileRule } from '../../steering/compile-rules.js';
import { ruleBits } from '../../steering/rule-order.js';
import { type FlowRule, parseRule } from '../../steering/rules.js';
import { decodeEntry } from './decode-entry.js';
import { matchKey } from './directed-rules.js';
import { encodeRule } from './encode-rule.js';
import type { EntryAction, NtupleEntry } from './flow-spec.js';
import type { NtupleTable } from './ntuple-table.js';
import { checkNoClash, type PlacedEntry, placeEntries, type RankedEntry } from './placement.js';

/** An entry that was added. */
export interface StandingEntry {
  readonly location: number;
  readonly rule: FlowRule;
  readonly to: Exclude<EntryAction, 'other'>;
}

interface NewEntry extends RankedEntry {
  readonly match: Uint8Array;
  readonly rule: FlowRule;
  readonly to: Exclude<EntryAction, 'other'>;
}

/** In the place of a queue, for comparisons. */
const DROP = -1;
const OTHER = -2;

/**
 * Adds entries that stay until somebody removes them, all or none. They are placed so that of all entries that rules can say the most specific
 * decides.
 *
 * @param rules each to a queue or to 'drop'
 * @throws PacketError INVALID_OPTION, RULES_UNSUPPORTED, FLOW_TABLE_FULL, NO_PRIVILEGE, SYSTEM_CALL
 */
export function addStandingEntries(table: NtupleTable, device: string, rules: readonly FlowRule[]): StandingEntry[] {
  const fresh = new Map<string, NewEntry>();
  for (const [index, rule] of rules.entries()) {
    for (const entry of newEntries(rule, `rule ${index + 1}`)) {
      const key = matchKey(entry.match);
      if (!fresh.has(key)) fresh.set(key, entry);
    }
  }
  const ordered = [...fresh.values()].sort((a, b) => b.bits - a.bits);
  const { locations, driverPicks } = table.size();
  const there = table.list();
  for (const { location, match } of there) {
    const same = fresh.get(matchKey(match));
    if (same === undefined) continue;
    throw new PacketError('RULES_UNSUPPORTED', `${same.what}: entry ${location} is for the same packets`, {
      remedy: `tp4 steer del ${device} ${location}`,
    });
  }
  const placed = there.map(placedEntry).filter((entry) => entry !== undefined);
  if (driverPicks) checkNoClash(device, [...placed, ...ordered]);
  const taken = new Set(there.map(({ location }) => location));
  const places = driverPicks ? undefined : placeEntries(locations, taken, placed, ordered);
  const added: StandingEntry[] = [];
  try {
    for (const [i, { match, rule, to, what }] of ordered.entries()) {
      added.push({ location: table.insert(match, to, places?.[i], what), rule, to });
    }
  } catch (error) {
    for (const { location } of added.reverse()) table.remove(location);
    throw error;
  }
  return added;
}

function newEntries(rule: FlowRule, what: string): NewEntry[] {
  const parsed = parseRule(rule, what);
  const to = typeof parsed.to === 'object' ? { queue: parsed.to.queue } : parsed.to;
  if (to === undefined || to === 'stack') {
    throw new PacketError('INVALID_OPTION', `${what}: an entry sends packets to a queue or drops them`, {
      remedy: 'to=queue:3 or to=drop; what no entry matches is spread over the queues',
    });
  }
  return encodeRule(parsed, what).map(({ bytes, tuple }) => {
    const entry = decodeEntry({ match: bytes }).rule!;
    const bits = ruleBits(parseRule(entry, what));
    return { match: bytes, rule: entry, to, tuple, bits, queue: queueNumber(to), what };
  });
}

/** An entry that is there, if rules can say it. */
function placedEntry(entry: NtupleEntry): PlacedEntry | undefined {
  const { rule } = decodeEntry(entry);
  if (rule === undefined || Object.keys(rule).length === 0) return undefined;
  const what = `entry ${entry.location}`;
  const [tuple] = compileRule(rule, what);
  const bits = ruleBits(parseRule(rule, what));
  return { tuple: tuple!, bits, queue: queueNumber(entry.action), what, location: entry.location };
}

function queueNumber(action: EntryAction): number {
  return typeof action === 'object' ? action.queue : action === 'drop' ? DROP : OTHER;
}
