import { createFlowKey, parseFlowKey } from '../packet/flow-key.js';
import { FlowTable } from '../steering/flow-table.js';
import type { FlowRule } from '../steering/rules.js';

/** By the target in the table: to the stack, to the socket, to nobody (as `DROPPED`). */
const VERDICTS = Int32Array.of(0, 1, -1);

/** Rules of one socket that send packets to different places, as a filter. A packet costs one lookup, however many rules there are. */
export class RuleFilter {
  readonly #table = new FlowTable();
  readonly #key = createFlowKey();

  /** @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL */
  constructor(rules: readonly FlowRule[]) {
    for (const rule of rules) {
      const { to = 'socket' } = rule;
      this.#table.add(rule, to === 'socket' ? 1 : to === 'drop' ? 2 : 0);
    }
  }

  /** 1 for a packet of the socket, 0 for one that it leaves to others, -1 for one that nobody gets. */
  run(u8: Uint8Array, offset: number, length: number): number {
    parseFlowKey(u8, offset, length, this.#key);
    const target = this.#table.lookup(this.#key);
    return target < 0 ? 0 : VERDICTS[target]!;
  }
}
