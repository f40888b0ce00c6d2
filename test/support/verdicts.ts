import { PacketError } from '../../src/errors.js';
import { readUint16 } from '../../src/packet/big-endian.js';
import { createFlowKey, FLOW_BUCKET, parseFlowKey } from '../../src/packet/flow-key.js';
import { compileRule } from '../../src/steering/compile-rules.js';
import { flowBucket } from '../../src/steering/flow-bucket.js';
import { ruleBits } from '../../src/steering/rule-order.js';
import { type FlowRule, parseRule } from '../../src/steering/rules.js';
import { randomRule } from './header-packets.js';
import type { Random } from './random.js';

export type Decision = 'socket' | 'stack' | 'drop';

/** Decides packets by the flow key, and the masked tuples of one rule after the other, those first that fix most bits. */
export function softDecision(rules: readonly FlowRule[]): (packet: Uint8Array) => Decision {
  const ordered = rules
    .map((rule) => ({ rule, bits: ruleBits(parseRule(rule, 'rule')), tuples: compileRule(rule) }))
    .sort((a, b) => b.bits - a.bits); // stable
  const key = createFlowKey();
  return (packet) => {
    parseFlowKey(packet, 0, packet.length, key);
    key[FLOW_BUCKET] = flowBucket(key);
    const winner = ordered.find(({ tuples }) =>
      tuples.some(({ mask, value }) => mask.every((word, at) => (key[at]! & word) === value[at]!)),
    );
    if (winner === undefined) return 'stack';
    const { to = 'socket' } = winner.rule;
    return typeof to === 'string' ? to : 'stack';
  };
}

/** Whether the socket that has the rules gets the packet. */
export function softVerdict(rules: readonly FlowRule[]): (packet: Uint8Array) => boolean {
  const decide = softDecision(rules);
  return (packet) => decide(packet) === 'socket';
}

/** Random rules, each of which some packet can meet. @param targets what `to` may be; not given at all without them */
export function randomRules(random: Random, count: number, targets: readonly Decision[] = []): FlowRule[] {
  const rules: FlowRule[] = [];
  while (rules.length < count) {
    const rule: FlowRule =
      targets.length === 0 ? randomRule(random) : { ...randomRule(random), to: random.pick(targets) };
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
