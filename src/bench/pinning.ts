import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { ThreadHost } from '../soft-kernel/thread/protocol.js';

/** Where the two threads of a measurement run, or why they are left to the scheduler. */
export type Pinning = { readonly application: number; readonly kernel: number } | { readonly none: string };

/**
 * Chooses a CPU for the application's thread and one for the kernel's, on different cores where there are several. The scheduler
 * sometimes leaves two spinning threads on one CPU for seconds. Uses `taskset` (util-linux), because Node cannot set an affinity.
 */
export function planPinning(): Pinning {
  if (process.platform !== 'linux') return { none: `not possible on ${process.platform}` };
  const cpus = allowedCpus();
  if (cpus.length < 2) return { none: 'there is only one CPU' };
  if (spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status !== 0)
    return { none: 'there is no taskset command' };
  const application = cpus[0]!;
  const kernel = cpus.slice(1).find((cpu) => !siblings(application).includes(cpu)) ?? cpus[1]!;
  return { application, kernel };
}

/** In words, for people and for the environment that results carry. */
export function describePinning(pinning: Pinning): string {
  if ('none' in pinning) return `threads not pinned: ${pinning.none}`;
  return `threads pinned: application on CPU ${pinning.application}, kernel on CPU ${pinning.kernel}`;
}

/** A thread host whose threads run on the kernel's CPU, and the caller from then on on the application's. */
export function pinnedThreads(host: ThreadHost, pinning: Pinning): ThreadHost {
  if ('none' in pinning) return host;
  return {
    start() {
      const before = new Set(tasks());
      const thread = host.start();
      const started = tasks().filter((task) => !before.has(task));
      for (const task of started) pin(task, pinning.kernel);
      pin(String(process.pid), pinning.application);
      return thread;
    },
  };
}

/** The caller's thread runs on this CPU from now on; where there is a `taskset` command. */
export function pinThisThread(cpu: number): void {
  pin(String(process.pid), cpu);
}

function pin(task: string, cpu: number): void {
  spawnSync('taskset', ['-p', '-c', String(cpu), task], { stdio: 'ignore' });
}

/** Thread identifiers of this process. */
function tasks(): string[] {
  return readdirSync('/proc/self/task');
}

/** CPUs that this process may use. */
function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readText('/proc/self/status'))?.[1] ?? '';
  return expandCpuList(list);
}

/** CPUs on the same core. */
function siblings(cpu: number): number[] {
  return expandCpuList(readText(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`).trim());
}

/** "0-3,8" as numbers. */
export function expandCpuList(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    if (part === '' || first === undefined || !Number.isInteger(first) || !Number.isInteger(last)) return [];
    return Array.from({ length: last! - first + 1 }, (_, i) => first + i);
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
