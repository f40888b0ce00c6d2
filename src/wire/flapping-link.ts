/** A link that is up and down in turns, as its owner looks at it. Whether it is up is a matter of the time alone. */
export class FlappingLink {
  /** As of the last look. */
  up = true;
  readonly #upFor: number;
  readonly #period: number;
  #begun = -1;

  /**
   * @param upFor nanoseconds; Infinity for a link that stays up
   * @param downFor nanoseconds
   */
  constructor(upFor: number, downFor: number) {
    this.#upFor = upFor;
    this.#period = upFor + downFor;
  }

  /** Looks at the link at a time in nanoseconds; the first look is the beginning of an up phase. */
  look(now: number): void {
    if (this.#period === Number.POSITIVE_INFINITY) return;
    if (this.#begun < 0) this.#begun = now;
    this.up = this.#phase(now) < this.#upFor;
  }

  /** The first time from `time` on at which the link is up. */
  upFrom(time: number): number {
    if (this.#begun < 0 || time === Number.POSITIVE_INFINITY) return time;
    const phase = this.#phase(time);
    return phase < this.#upFor ? time : time + this.#period - phase;
  }

  #phase(time: number): number {
    return (time - this.#begun) % this.#period;
  }
}
