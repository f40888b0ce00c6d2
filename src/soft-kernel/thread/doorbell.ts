import type { Arena, Region } from '../../arena/arena.js';

// The doorbell between application threads and the kernel's thread, in words:
//
//   0: sequence, counts every ring | 16: the kernel sleeps | 32..: kick bits, one a socket | ..: wait bits, one a socket
//
// Bits say what to look at, the sequence that there is something to look at: one load a step when there is nothing.
const SEQUENCE = 0;
const SLEEPING = 16;
const KICKS = 32;

/** Sockets that a threaded kernel can have. */
export const MOST_SOCKETS = 8192;
const BIT_WORDS = MOST_SOCKETS >> 5;
const WAITS = KICKS + BIT_WORDS;
const BYTES = (WAITS + BIT_WORDS) * 4;

/** Allocates the doorbell's memory. */
export function allocateDoorbell(arena: Arena): Region {
  const region = arena.allocate(BYTES);
  arena.clear(region);
  return region;
}

/** Both ends of the doorbell; every access is atomic. */
export class Doorbell {
  readonly #i32: Int32Array;
  readonly #at: number;
  #seen = 0;

  /** @param offset arena byte offset */
  constructor(arena: Arena, offset: number) {
    this.#i32 = arena.i32;
    this.#at = offset >> 2;
  }

  // The application's end

  /** Asks the kernel to look at a socket's rings. */
  kick(socket: number): void {
    this.#ring(KICKS, socket);
  }

  /** Asks the kernel to tell when something happens on a socket. */
  awaitEvents(socket: number): void {
    this.#ring(WAITS, socket);
  }

  #ring(bits: number, socket: number): void {
    Atomics.or(this.#i32, this.#at + bits + (socket >> 5), 1 << (socket & 31));
    this.wake();
  }

  /** Wakes the kernel if it sleeps. */
  wake(): void {
    Atomics.add(this.#i32, this.#at + SEQUENCE, 1);
    if (Atomics.load(this.#i32, this.#at + SLEEPING) !== 0) Atomics.notify(this.#i32, this.#at + SEQUENCE);
  }

  // The kernel's end

  /** Whether it was rung since the last call. */
  answered(): boolean {
    const sequence = Atomics.load(this.#i32, this.#at + SEQUENCE);
    if (sequence === this.#seen) return false;
    this.#seen = sequence;
    return true;
  }

  /** Calls back for each socket whose bit is set, and clears it. */
  collect(kicked: (socket: number) => void, awaited: (socket: number) => void): void {
    for (let word = 0; word < BIT_WORDS; word++) {
      this.#collectWord(KICKS + word, word << 5, kicked);
      this.#collectWord(WAITS + word, word << 5, awaited);
    }
  }

  #collectWord(word: number, first: number, tell: (socket: number) => void): void {
    if (Atomics.load(this.#i32, this.#at + word) === 0) return;
    let bits = Atomics.exchange(this.#i32, this.#at + word, 0);
    while (bits !== 0) {
      const bit = 31 - Math.clz32(bits & -bits);
      bits &= bits - 1;
      tell(first + bit);
    }
  }

  /** Sleeps until it is rung, at most `milliseconds`, with the event loop running. Returns at once if it was rung already. */
  async sleep(milliseconds: number): Promise<void> {
    Atomics.store(this.#i32, this.#at + SLEEPING, 1);
    const waiting = Atomics.waitAsync(this.#i32, this.#at + SEQUENCE, this.#seen, milliseconds);
    if (waiting.async) await waiting.value;
    Atomics.store(this.#i32, this.#at + SLEEPING, 0);
  }
}
