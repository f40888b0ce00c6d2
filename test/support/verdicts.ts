import { PacketError } from '../../src/errors.js';
import { readUint16 } from '../../src/packet/big-endian.js';
import { createFlowKey, parseFlowKey } from '../../src/packet/flow-key.js';
import { compileRule, compileRules } from '../../src/steering/compile-rules.js';
import type { FlowRule } from '../../src/steering/rules.js';
import { randomRule } from './header-packets.js';
import type { Random } from './random.js';

/** Decides packets by rules as the soft kernel does: the flow key, and the masked tuples of the rules. */
export function softVerdict(rules: readonly FlowRule[]): (packet: Uint8Array) => boolean {
  const tuples = compileRules(rules);
  const key = createFlowKey();
  return (packet) => {
    parseFlowKey(packet, 0, packet.length, key);
    return tuples.some(({ mask, value }) => mask.every((word, at) => (key[at]! & word) === value[at]!));
  };
}

/** Random rules, each of which some packet can meet. */
export function randomRules(random: Random, count: number): FlowRule[] {
  const rules: FlowRule[] = [];
  while (rules.length < count) {
    const rule = randomRule(random);
    try {
      // Three ranges of ports in one rule are thousands of tuples, and say nothing that two do not.
      if (compileRule(rule).length < 300) rules.push(rule);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
    }
  }
  return rules;
}

/** A packet as a packet socket of Linux sees it: the kernel takes the outermost tag out, unless it is an old QinQ tag or cut off. */
export function takeTag(packet: Uint8Array): { packet: Uint8Array; tag: number | undefined } {
  const type = packet.length >= 18 ? readUint16(packet, 12) : 0;
  if (type !== 0x8100 && type !== 0x88a8) return { packet, tag: undefined };
  const rest = new Uint8Array(packet.length - 4);
  rest.set(packet.subarray(0, 12));
  rest.set(packet.subarray(16), 12);
  return { packet: rest, tag: readUint16(packet, 14) };
}
