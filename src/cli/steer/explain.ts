import { alignColumns } from '../../bench/rings/spread.js';
import { openCapture } from '../../capture-file/open-capture.js';
import { PacketError } from '../../errors.js';
import { readCapture } from '../../host/read-capture.js';
import { directRules } from '../../linux-kernel/flow-director/directed-rules.js';
import { createFlowKey, parseFlowKey } from '../../packet/flow-key.js';
import { type Explanation, explainRules, tableOf } from '../../steering/explain.js';
import { type FlowRule, parseRule } from '../../steering/rules.js';
import { readRules, showRule, showTarget, usage } from './rule-text.js';

/** `tp4 steer explain`. @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL, SYSTEM_CALL, CAPTURE_CORRUPT */
export async function explain(texts: readonly string[], file: string | undefined, json: boolean): Promise<number> {
  const rules = texts.flatMap(readRules);
  if (rules.length === 0) throw usage('no rule is given');
  const explanation = explainRules(rules);
  const ntuple = explainEntries(rules);
  const decided = file === undefined ? undefined : countDecided(rules, await readCapture(file));
  if (json) {
    const counted = explanation.rules.map((rule) => ({ ...rule, ...(decided && { packets: decided.by[rule.index] }) }));
    const others = decided && { packets: decided.packets, unmatched: decided.unmatched };
    process.stdout.write(`${JSON.stringify({ ...explanation, ntuple, rules: counted, ...others }, undefined, 2)}\n`);
  } else process.stdout.write(render(explanation, ntuple, decided));
  return 0;
}

/** As n-tuple entries of a device of Linux; or why not. */
type Ntuple = { readonly entries: number } | { readonly why: string };

function explainEntries(rules: readonly FlowRule[]): Ntuple {
  const parsed = rules.map((rule, index) => parseRule(rule, `receive[${index}]`));
  try {
    return { entries: directRules(parsed, 0).entries.length };
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return { why: error.message };
  }
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

function render(explanation: Explanation, ntuple: Ntuple, decided: Decided | undefined): string {
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
    ['Linux, n-tuple', 'why' in ntuple ? `no: ${ntuple.why}` : `${ntuple.entries} entries with flowDirector`],
    [
      'Linux, V2 and V3',
      notForCopies ? 'no' : `a filter of ${socketFilter.instructions} instructions, of ${socketFilter.limit}${fits}`,
    ],
  ];
  const width = Math.max(...lines.map(([name]) => name!.length));
  const means = lines.map(([name, text]) => `${name!.padEnd(width)}  ${text}`).join('\n');
  return `${alignColumns([head, ...rows, ...rest])}\n\n${means}\n${notForCopies ? `${notForCopies}\n` : ''}`;
}
