/** Milliseconds of work after which a thread's event loop is due, so that its timers and signals stay punctual. */
const TURN_MILLISECONDS = 1;

let turnEnds = 0;

/** Lets the thread's event loop run once. `setImmediate` where there is one: a timer would cost a millisecond. */
export function eventLoop(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };
  return new Promise((resolve) => {
    const done = (): void => {
      turnEnds = performance.now() + TURN_MILLISECONDS;
      resolve();
    };
    if (setImmediate !== undefined) setImmediate(done);
    else setTimeout(done, 0);
  });
}

/** Whether promises alone have kept this thread busy for a turn, as far as those know who call {@link eventLoop}. */
export function eventLoopIsDue(): boolean {
  return performance.now() >= turnEnds;
}
