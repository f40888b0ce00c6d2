import { readdirSync, readFileSync } from 'node:fs';
import { FAR, type InterfaceCounters, type Laboratory, NEAR } from './laboratory.js';

/** Nanoseconds of a tick of /proc/stat (USER_HZ is 100 on every machine). */
const TICK_NANOSECONDS = 10_000_000;
/** Where /proc/stat has the time of software interrupts, in the line of all CPUs. */
const SOFTIRQ_FIELD = 7;

/** The laboratory at one moment; all of it only grows. */
export interface Sample {
  /** Milliseconds, `performance.now()`. */
  readonly time: number;
  readonly near: InterfaceCounters;
  readonly far: InterfaceCounters;
  /** CPU time in nanoseconds of the process at the far end; 0 without one. */
  readonly farNanoseconds: number;
  /** CPU time in nanoseconds of the process at the near end, seen from outside; 0 without one. */
  readonly nearNanoseconds: number;
  /** Time of software interrupts of the whole machine, in nanoseconds, in steps of 10 ms. */
  readonly softirqNanoseconds: number;
}

/** @param nearPid, farPid processes to look at */
export function takeSample(laboratory: Laboratory, nearPid: number | undefined, farPid: number | undefined): Sample {
  return {
    time: performance.now(),
    near: laboratory.counters(NEAR),
    far: laboratory.counters(FAR),
    nearNanoseconds: processNanoseconds(nearPid),
    farNanoseconds: processNanoseconds(farPid),
    softirqNanoseconds: softirqNanoseconds(readFileSync('/proc/stat', 'utf8')),
  };
}

/** CPU time of all threads of a process, which the scheduler counts to the nanosecond; 0 when it is gone. */
function processNanoseconds(pid: number | undefined): number {
  if (pid === undefined) return 0;
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
      return sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    }, 0);
  } catch {
    return 0;
  }
}

/** From the text of /proc/stat. */
export function softirqNanoseconds(text: string): number {
  const fields = text.slice(0, text.indexOf('\n')).split(/\s+/);
  return Number(fields[SOFTIRQ_FIELD]) * TICK_NANOSECONDS;
}
