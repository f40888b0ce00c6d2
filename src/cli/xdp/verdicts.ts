import { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX } from '../../ebpf/execution.js';

/** Verdicts by their words on the command line. */
export const VERDICTS: Readonly<Record<string, number>> = {
  aborted: XDP_ABORTED,
  drop: XDP_DROP,
  pass: XDP_PASS,
  tx: XDP_TX,
  redirect: XDP_REDIRECT,
};

/** The word of a verdict; for what is none, which drops the packet, the number. */
export function verdictWord(verdict: number): string {
  const found = Object.entries(VERDICTS).find(([, number]) => number === verdict);
  return found === undefined ? `invalid ${verdict}` : found[0];
}
