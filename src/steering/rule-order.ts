import type { ParsedRule } from './rules.js';

/**
 * Header bits that a rule fixes: EtherType 16, VLAN 12, protocol 8, an address its prefix length, a port 16, a range of ports 16 less
 * the bits that count its ports (1024 ports: 6), a bucket the bits that number it. When several rules match a packet, the one with most bits
 * wins, so that what a rule means does not depend on when broader ones were added.
 */
export function ruleBits(rule: ParsedRule): number {
  let bits = 0;
  if (rule.etherType !== undefined) bits += 16;
  if (rule.vlan !== undefined) bits += 12;
  if (rule.protocol !== undefined) bits += 8;
  for (const prefix of [rule.source, rule.destination, rule.address]) bits += prefix?.bits ?? 0;
  for (const range of [rule.sourcePort, rule.destinationPort, rule.port]) {
    if (range !== undefined) bits += 16 - Math.ceil(Math.log2(range[1] - range[0] + 1));
  }
  if (rule.bucket !== undefined) bits += Math.log2(rule.bucket[1]);
  return bits;
}

/** Whether rules of a list send packets to different places, so that it matters which of those that match wins. */
export function hasExceptions(rules: readonly ParsedRule[]): boolean {
  return rules.some(({ to }) => to !== undefined);
}

/** The rules of a list, each with its index in it and its bits; those first that win over others. */
export function inOrder(
  rules: readonly ParsedRule[],
): { readonly rule: ParsedRule; readonly index: number; readonly bits: number }[] {
  return rules
    .map((rule, index) => ({ rule, index, bits: ruleBits(rule) }))
    .sort((a, b) => b.bits - a.bits || a.index - b.index);
}
