import type { Mode } from '../kernel/contract.js';
import type { ProgramName } from './programs.js';

/** The talk's C figures in Mpps for 64-byte packets (R2): one core, an Intel 40G NIC, the RFC's i40e driver. */
const SMALL: Readonly<Record<ProgramName, Partial<Record<Mode, number>>>> = {
  rxdrop: { v2: 0.67, v3: 0.73, v4: 0.74, 'v4-zc': 33.7 },
  txpush: { v2: 0.98, v3: 0.98, v4: 0.91, 'v4-zc': 19.6 },
  l2fwd: { v2: 0.66, v3: 0.71, v4: 0.67, 'v4-zc': 15.5 },
};

/** 40 Gbit/s of 1500-byte packets (R1: large packets reach line rate on receive). */
const LINE_RATE_LARGE = 40_000 / ((1500 + 20) * 8);

/** What the talk reported for a cell, in Mpps; undefined where it reported nothing. */
export function talkFigure(program: ProgramName, version: Mode, size: number): number | undefined {
  if (size === 64) return SMALL[program][version];
  if (size === 1500 && program === 'rxdrop' && version === 'v4-zc') return LINE_RATE_LARGE;
  return undefined;
}
