import type { Helper } from './contract.js';
import { giveBackUnsigned } from './registers.js';

/** Timer interrupts in a second (CONFIG_HZ): most distributions' kernels have 250 or 1000. */
const NANOSECONDS_PER_JIFFY = 1e9 / 250;

/** The clocks that tell programs the time: one for all, since nothing here is ever suspended or set. */
const CLOCKS: readonly [name: string, number: number][] = [
  ['ktime_get_ns', 5],
  ['ktime_get_boot_ns', 125],
  ['ktime_get_coarse_ns', 160],
  ['ktime_get_tai_ns', 208],
];

/** Helpers that tell the time. @param nanoseconds the clock, up to 2^53 */
export function timeHelpers(nanoseconds: () => number): Helper[] {
  const clocks = CLOCKS.map(([name, number]): Helper => {
    return {
      name,
      number,
      arguments: [],
      returns: 'number',
      call: (machine) => giveBackUnsigned(machine, nanoseconds()),
    };
  });
  return [
    ...clocks,
    {
      name: 'jiffies64',
      number: 118,
      arguments: [],
      returns: 'number',
      call: (machine) => giveBackUnsigned(machine, Math.floor(nanoseconds() / NANOSECONDS_PER_JIFFY)),
    },
  ];
}
