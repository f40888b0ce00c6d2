/** One run: nanoseconds per unit of work, and the share of their CPUs that the measuring threads got meanwhile. */
export type Run = readonly [nanoseconds: number, cpuShare: number];

/** Several runs; the share is the worst among them. */
export interface Runs {
  readonly nanoseconds: readonly number[];
  readonly cpuShare: number;
}

/** Runs with a smaller share were disturbed by other processes: they are done again, up to so many times as many in all. */
export const UNDISTURBED = 0.95;
export const MOST_ATTEMPTS = 4;

/** Runs until there are enough that other processes did not disturb, or it has been tried often enough; takes the best. */
export function undisturbed(wanted: number, measureRun: () => Run): Runs {
  const runs: Run[] = [];
  for (let i = 0; i < wanted * MOST_ATTEMPTS; i++) {
    runs.push(measureRun());
    if (runs.filter(([, cpuShare]) => cpuShare >= UNDISTURBED).length >= wanted) break;
  }
  return bestRuns(runs, wanted);
}

/** The runs that were disturbed least. */
export function bestRuns(runs: readonly Run[], wanted: number): Runs {
  const best = [...runs].sort(([, a], [, b]) => b - a).slice(0, wanted);
  return { nanoseconds: best.map(([nanoseconds]) => nanoseconds), cpuShare: best.at(-1)?.[1] ?? 0 };
}

/**
 * One run of `threads` spinning threads in this process: calls `turn` for some time.
 *
 * @param turn does some work, some ten microseconds long, and returns how much
 */
export function timedRun(seconds: number, threads: number, turn: () => number): Run {
  const before = process.cpuUsage();
  const start = performance.now();
  const end = start + seconds * 1000;
  let now = start;
  let done = 0;
  while (now < end) {
    done += turn();
    now = performance.now();
  }
  const { user, system } = process.cpuUsage(before);
  const milliseconds = now - start;
  return [(milliseconds * 1e6) / done, (user + system) / 1000 / (milliseconds * threads)];
}
