// Words of the shared counts.
const CALLS = 0;
const AGAIN = 1;
const REFUSED = 2;
const FAILED = 3;
const WORDS = 4;

/**
 * What one socket's kicks and blocking waits count: the price of sending and receiving (F1), and the failures that are no errors.
 * In shared memory, so that the thread that opened a socket can read what the thread that uses it counts. One thread writes.
 */
export class KickCounts {
  /** For another thread's {@link KickCounts} of the same socket. */
  readonly memory: SharedArrayBuffer;
  readonly #words: Float64Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(WORDS * Float64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#words = new Float64Array(memory);
  }

  /** System calls made: kicks in either direction, and poll(2) of blocking waits. */
  get calls(): number {
    return this.#words[CALLS]!;
  }

  /** Calls after which the kernel had more to do or was short of room (EAGAIN, ENOBUFS). */
  get again(): number {
    return this.#words[AGAIN]!;
  }

  /** Packets that the device's queue refused (EBUSY): completed, but not sent. */
  get refused(): number {
    return this.#words[REFUSED]!;
  }

  /** Calls that found the interface down (ENETDOWN) or gone (ENXIO), or failed otherwise. */
  get failed(): number {
    return this.#words[FAILED]!;
  }

  countCall(): void {
    this.#words[CALLS]!++;
  }

  countAgain(): void {
    this.#words[AGAIN]!++;
  }

  countRefused(): void {
    this.#words[REFUSED]!++;
  }

  countFailed(): void {
    this.#words[FAILED]!++;
  }
}
