import { readFileSync, statSync } from 'node:fs';

/** A process, told apart from later ones with its number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in clock ticks since the boot (/proc/PID/stat); "" where that is not known. */
  readonly start: string;
  /** Which boot (/proc/sys/kernel/random/boot_id). */
  readonly boot: string;
  /** Inode of the PID namespace that the number is of (/proc/self/ns/pid); 0 where that is not known. */
  readonly pidNamespace: number;
}

export function currentProcess(proc = '/proc'): ProcessIdentity {
  return {
    pid: process.pid,
    start: startTime(proc, process.pid) ?? '',
    boot: readText(`${proc}/sys/kernel/random/boot_id`) ?? '',
    pidNamespace: inode(`${proc}/self/ns/pid`) ?? 0,
  };
}

/**
 * Whether a process still runs.
 *
 * @param here the process that asks
 * @returns undefined when that cannot be known: its number is one of another PID namespace
 */
export function isRunning(one: ProcessIdentity, here: ProcessIdentity, proc = '/proc'): boolean | undefined {
  if (one.boot !== here.boot) return false;
  if (one.pidNamespace !== here.pidNamespace) return undefined;
  // A later process with the same number has started at another time.
  return startTime(proc, one.pid) === one.start;
}

/** Field 22 of /proc/PID/stat. The second one, the command in parentheses, may hold anything. */
function startTime(proc: string, pid: number): string | undefined {
  const text = readText(`${proc}/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function inode(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.ino;
}
