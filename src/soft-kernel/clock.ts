/** The kernel's time in nanoseconds; where it starts is the clock's affair. */
export interface Clock {
  /** Called once per step. */
  now(): number;
  /** Moves time on to `time`, where time can be moved. Returns whether it could. */
  skipTo(time: number): boolean;
  /** What to add for the time of day, in milliseconds since 1970. */
  readonly epochMilliseconds: number;
}

/** Nanoseconds that one step of the kernel takes on the virtual clock. */
const STEP_NANOSECONDS = 1000;

/** Time that passes with the kernel's steps only, so that every run is the same. Starts at 0, which it calls 1970. */
export class VirtualClock implements Clock {
  readonly epochMilliseconds = 0;
  #now = 0;

  now(): number {
    this.#now += STEP_NANOSECONDS;
    return this.#now;
  }

  skipTo(time: number): boolean {
    if (time > this.#now) this.#now = time;
    return true;
  }
}

/** The host's time; for the kernel on a thread of its own. Read every few steps: reading costs some 40 ns. */
export class HostClock implements Clock {
  readonly epochMilliseconds = performance.timeOrigin;
  #now = 0;
  #steps = 0;

  now(): number {
    if ((this.#steps++ & 7) === 0) this.#now = performance.now() * 1e6;
    return this.#now;
  }

  skipTo(): boolean {
    return false;
  }
}
