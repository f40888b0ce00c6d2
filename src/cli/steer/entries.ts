import { alignColumns } from '../../bench/rings/spread.js';
import { PacketError } from '../../errors.js';
import { parseInterfaceSpec } from '../../host/interface-spec.js';
import { Ethtool, type UseEthtool } from '../../linux-kernel/ethtool.js';
import { decodeEntry } from '../../linux-kernel/flow-director/decode-entry.js';
import type { EntryAction, NtupleEntry } from '../../linux-kernel/flow-director/flow-spec.js';
import { NtupleTable } from '../../linux-kernel/flow-director/ntuple-table.js';
import { addStandingEntries } from '../../linux-kernel/flow-director/standing-entries.js';
import { readInterface } from '../../linux-kernel/interfaces.js';
import { SSH_PORT, sessionOver } from '../../linux-kernel/sessions.js';
import { SystemCalls } from '../../linux-kernel/system-calls.js';
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  FLOW_ETHERTYPE_MASK,
  FLOW_HAS_PORTS,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_VERSION_SHIFT,
  PROTOCOL_TCP,
} from '../../packet/flow-key.js';
import { compileRule } from '../../steering/compile-rules.js';
import type { FlowRule } from '../../steering/rules.js';
import { readRules, showRule, usage } from './rule-text.js';

/** Shows the n-tuple entries of an interface. @throws PacketError RULES_UNSUPPORTED, NO_INTERFACE, NO_PRIVILEGE, SYSTEM_CALL */
export async function listEntries(name: string, json: boolean, ethtool?: UseEthtool): Promise<number> {
  const { size, entries } = await withTable(name, ethtool, (table) => ({ size: table.size(), entries: table.list() }));
  const shown = entries.map(describe);
  if (json) printJson({ interface: name, ...size, entries: shown });
  else {
    const rows = shown.map(({ location, rule, why, to }) => [
      String(location),
      rule === undefined ? `(${why})` : showRule(rule),
      showAction(to),
    ]);
    if (rows.length > 0) print(alignColumns([['location', 'packets', 'to'], ...rows]));
    const order = size.driverPicks ? 'the driver orders them' : 'the first that matches decides';
    print(`${entries.length} of ${size.locations} entries; ${order}`);
  }
  return 0;
}

/**
 * Adds entries that stay.
 *
 * @throws PacketError INVALID_OPTION, RULES_UNSUPPORTED, FLOW_TABLE_FULL, GUARDED_INTERFACE, NO_INTERFACE, NO_PRIVILEGE, SYSTEM_CALL
 */
export async function addEntries(
  name: string,
  texts: readonly string[],
  allowCutoff: boolean,
  json: boolean,
  ethtool?: UseEthtool,
): Promise<number> {
  const rules = texts.flatMap(readRules);
  if (!allowCutoff && rules.some(dropsSessions) && sessionOver(name) !== undefined) {
    throw new PacketError('GUARDED_INTERFACE', `an ssh session comes over ${name}, and the rule drops its packets`, {
      remedy: 'work over another interface, or say --allow-cutoff',
    });
  }
  const added = await withTable(name, ethtool, (table) => addStandingEntries(table, name, rules));
  if (json) printJson({ interface: name, entries: added });
  else for (const { location, rule, to } of added) print(`added ${location}: ${showRule(rule)} to ${showAction(to)}`);
  return 0;
}

/** Removes entries. @throws PacketError INVALID_OPTION, RULES_UNSUPPORTED, NO_INTERFACE, NO_PRIVILEGE, SYSTEM_CALL */
export async function removeEntries(
  name: string,
  texts: readonly string[],
  json: boolean,
  ethtool?: UseEthtool,
): Promise<number> {
  const isAll = texts.length === 1 && texts[0] === 'all';
  const wrong = isAll ? undefined : texts.find((text) => !/^\d{1,9}$/.test(text));
  if (wrong !== undefined) throw usage(`del: "${wrong}" is no location, such as tp4 steer list shows, and not all`);
  const removed = await withTable(name, ethtool, (table) => {
    const there = table.list().map(({ location }) => location);
    const wanted = isAll ? there : [...new Set(texts.map(Number))];
    const missing = wanted.find((location) => !there.includes(location));
    if (missing !== undefined) throw usage(`del: ${name} has no entry ${missing}`);
    for (const location of wanted) table.remove(location);
    return wanted;
  });
  if (json) printJson({ interface: name, removed });
  else print(`removed ${removed.length === 0 ? 'nothing' : removed.join(', ')}`);
  return 0;
}

async function withTable<Result>(
  name: string,
  ethtool: UseEthtool | undefined,
  work: (table: NtupleTable) => Result,
): Promise<Result> {
  if (ethtool !== undefined) return ethtool(name, (port) => work(new NtupleTable(port, name)));
  if (parseInterfaceSpec(name).kernel === 'soft') {
    throw new PacketError('INVALID_OPTION', `${name} is no interface of Linux: a soft one ends with the command`, {
      remedy: 'tp4 steer explain says what rules become there',
    });
  }
  const calls = await SystemCalls.load();
  readInterface(calls, name);
  return Ethtool.use(calls, name, (port) => work(new NtupleTable(port, name)));
}

interface DescribedEntry {
  readonly location: number;
  readonly rule?: FlowRule;
  readonly why?: string;
  readonly to: EntryAction;
}

function describe(entry: NtupleEntry): DescribedEntry {
  return { location: entry.location, ...decodeEntry(entry), to: entry.action };
}

function showAction(to: EntryAction): string {
  if (typeof to === 'object') return `queue ${to.queue}`;
  return to === 'drop' ? 'drop' : 'something else';
}

/** What the flow key of a packet to an ssh server has beside addresses: its words, and the bits of them. */
const SSH_KEYS = [
  [ETHERTYPE_IPV4, 4],
  [ETHERTYPE_IPV6, 6],
].map(([etherType, version]) => [
  [FLOW_LINK, FLOW_ETHERTYPE_MASK, etherType!],
  [FLOW_NETWORK, -1, FLOW_HAS_PORTS | (version! << FLOW_VERSION_SHIFT) | PROTOCOL_TCP],
  [FLOW_PORTS, 0xffff, SSH_PORT],
]) as readonly (readonly (readonly [word: number, bits: number, value: number])[])[];

/** Whether a rule drops packets to an ssh server here, from wherever they come. */
function dropsSessions(rule: FlowRule): boolean {
  if (rule.to !== 'drop') return false;
  return compileRule(rule).some(({ mask, value }) =>
    SSH_KEYS.some((key) => key.every(([word, bits, its]) => ((value[word]! ^ its) & mask[word]! & bits) === 0)),
  );
}

function print(text: string): void {
  process.stdout.write(`${text.trimEnd()}\n`);
}

function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}
