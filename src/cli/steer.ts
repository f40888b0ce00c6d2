import { alignColumns } from '../bench/rings/spread.js';
import { openCapture } from '../capture-file/open-capture.js';
import { PacketError } from '../errors.js';
import { readCapture } from '../host/read-capture.js';
import { createFlowKey, parseFlowKey } from '../packet/flow-key.js';
import { type Explanation, explainRules, tableOf } from '../steering/explain.js';
import { FLOW_RULE_FIELDS, type FlowRule, type RuleTarget } from '../steering/rules.js';
import { CommandLine, type OptionTable } from './options.js';

const COMMAND = 'tp4 steer';
const EXAMPLE = 'for example tp4 steer explain protocol=udp,port=53 to=drop; tp4 steer --help';

const HELP = `tp4 steer explain RULE... [options]    which rule wins, and what a list of rules is compiled to

RULE is fields with their values, protocol=udp,destinationPort=1024-2047,to=drop, or as JSON, one rule or a list of them. Fields are
${FLOW_RULE_FIELDS.join(', ')}. A range of ports is written FIRST-LAST, a bucket INDEX/COUNT, a queue to=queue:N.
What a socket is given with \`receive: [...]\` is explained, nothing is changed.

  --capture FILE    how many packets of a pcap or pcapng file each rule decides
  --json            for programs

  tp4 steer explain to=socket protocol=tcp,port=22,to=stack source=192.0.2.0/24,to=drop
  tp4 steer explain '[{"protocol": "udp", "port": 53}]' --capture captures/veth-mixed.pcap
`;

const OPTIONS: OptionTable = { capture: { type: 'string' }, json: { type: 'boolean' } };

/** `tp4 steer`. Returns the exit code. @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL, SYSTEM_CALL, CAPTURE_CORRUPT */
export async function steer(args: readonly string[]): Promise<number> {
  const line = new CommandLine(COMMAND, args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const [what, ...texts] = line.positionals;
  if (what !== 'explain') {
    throw usage(what === undefined ? 'what is to be done is not said' : `"${what}" is not explain`);
  }
  const rules = texts.flatMap(readRules);
  if (rules.length === 0) throw usage('no rule is given');
  const explanation = explainRules(rules);
  const file = line.text('capture');
  const decided = file === undefined ? undefined : countDecided(rules, await readCapture(file));
  if (line.has('json')) {
    const counted = explanation.rules.map((rule) => ({ ...rule, ...(decided && { packets: decided.by[rule.index] }) }));
    const others = decided && { packets: decided.packets, unmatched: decided.unmatched };
    process.stdout.write(`${JSON.stringify({ ...explanation, rules: counted, ...others }, undefined, 2)}\n`);
  } else process.stdout.write(render(explanation, decided));
  return 0;
}

function usage(message: string): PacketError {
  return new PacketError('INVALID_OPTION', `${COMMAND}: ${message}`, { remedy: EXAMPLE });
}

function readRules(text: string): FlowRule[] {
  if (!/^\s*[[{]/.test(text)) return [readFields(text)];
  try {
    const value: unknown = JSON.parse(text);
    return (Array.isArray(value) ? value : [value]) as FlowRule[];
  } catch (cause) {
    throw new PacketError('INVALID_OPTION', `${COMMAND}: ${text}: ${(cause as Error).message}`, {
      cause,
      remedy: EXAMPLE,
    });
  }
}

/** What the fields may be is for the rules to say. */
function readFields(text: string): FlowRule {
  const rule: Record<string, unknown> = {};
  for (const part of text.split(',')) {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(part) ?? [];
    if (name === undefined || value === undefined) throw usage(`"${part}" is not a field with its value`);
    if (Object.hasOwn(rule, name)) throw usage(`${name} is there twice in ${text}`);
    rule[name] = readValue(name, value);
  }
  return rule;
}

function readValue(name: string, value: string): unknown {
  const [, first, sign, second] = /^(\d+)([-/])(\d+)$/.exec(value) ?? [];
  if (/port$/i.test(name) && sign === '-') return [Number(first), Number(second)];
  if (name === 'bucket' && sign === '/') return [Number(first), Number(second)];
  if (name === 'to' && /^queue:\d+$/.test(value)) return { queue: Number(value.slice(6)) };
  return /^(\d+|0x[\da-f]+)$/i.test(value) ? Number(value) : value;
}

interface Decided {
  readonly packets: number;
  /** By index of the rule. */
  readonly by: Float64Array;
  readonly unmatched: number;
}

function countDecided(rules: readonly FlowRule[], bytes: Uint8Array): Decided {
  const table = tableOf(rules);
  const key = createFlowKey();
  const by = new Float64Array(rules.length);
  const capture = openCapture(bytes);
  let packets = 0;
  let unmatched = 0;
  for (; capture.next(); packets++) {
    const { offset, length } = capture.packet;
    parseFlowKey(bytes, offset, length, key);
    const rule = table.lookup(key);
    if (rule < 0) unmatched++;
    else by[rule]!++;
  }
  return { packets, by, unmatched };
}

function render(explanation: Explanation, decided: Decided | undefined): string {
  const { rules, flowDirector, xdp, socketFilter, notForCopies } = explanation;
  const head = ['the first that matches decides', 'to', 'bits', 'entries', ...(decided ? ['packets'] : [])];
  const rows = rules.map(({ index, rule, to, bits, entries }) => [
    showRule(rule),
    showTarget(to),
    String(bits),
    String(entries),
    ...(decided ? [String(decided.by[index])] : []),
  ]);
  const rest = decided ? [['what no rule matches', 'stack', '', '', String(decided.unmatched)]] : [];
  const tables = xdp.tableBytes > 0 ? `, ${xdp.tableBytes} bytes of tables` : '';
  const fits = socketFilter.instructions <= socketFilter.limit ? '' : ': too many (FLOW_TABLE_FULL)';
  const lines = [
    ['soft NIC, zero-copy', `${flowDirector.entries} entries, ${flowDirector.combinations} combinations of fields`],
    ['Linux, AF_XDP', `an XDP program of ${xdp.instructions} instructions${tables}`],
    [
      'Linux, V2 and V3',
      notForCopies ? 'no' : `a filter of ${socketFilter.instructions} instructions, of ${socketFilter.limit}${fits}`,
    ],
  ];
  const width = Math.max(...lines.map(([name]) => name!.length));
  const means = lines.map(([name, text]) => `${name!.padEnd(width)}  ${text}`).join('\n');
  return `${alignColumns([head, ...rows, ...rest])}\n\n${means}\n${notForCopies ? `${notForCopies}\n` : ''}`;
}

function showRule({ to: _to, ...match }: FlowRule): string {
  const fields = Object.entries(match).map(([name, value]) => {
    return `${name}=${Array.isArray(value) ? value.join(name === 'bucket' ? '/' : '-') : String(value)}`;
  });
  return fields.join(',') || 'everything';
}

function showTarget(to: RuleTarget): string {
  return typeof to === 'object' ? `queue ${to.queue}` : to;
}
