import { readFileSync } from 'node:fs';

/** How many CPUs the machine may have while it runs: maps with a value for each CPU have so many values. */
export function countPossibleCpus(file = '/sys/devices/system/cpu/possible'): number {
  // "0-3", or a list of ranges; the kernel numbers them from 0 without gaps, so that the last one tells.
  const last = /(\d+)\s*$/.exec(readFileSync(file, 'utf8'))?.[1];
  return Number(last ?? 0) + 1;
}
