import type { Arena } from '../arena/arena.js';

/** What a frame is wanted for. Receiving and sending have frames of their own, so that neither starves the other. */
export type FramePurpose = 'receive' | 'send';

// The pool's own memory, behind the frames, in words:
//
//   0: lock   1: receive frames free   2: send frames free   3: last mark   4..: receive stack, send stack, marks (16 bits each)
//
// The stacks hold offsets from the first frame: the arenas of two processes that share a buffer need not have it at the same place. What
// they hold is checked on the way out, because the other process may write anything there.
//
// A frame's home is decided by its number: the first `receiveFrames` are for receiving. It returns there however far it has
// travelled, so the split holds for good and no tally of who has what is needed.
const LOCK = 0;
const RECEIVE_FREE = 1;
const SEND_FREE = 2;
const LAST_MARK = 3;
const STACKS = 4;

/** A lock older than this belongs to a thread that was terminated while it held it, and does not stop the others (X4). */
const LOCK_ABANDONED_MILLISECONDS = 1000;

/** Bytes of arena that the pool of `frames` frames needs. */
export function framePoolBytes(frames: number): number {
  return (STACKS + frames) * 4 + frames * 2;
}

/**
 * The free frames of a packet buffer, as two stacks in the arena (last in, first out: the frame most likely in the cache goes
 * out first). Threads that share the buffer share the pool; a lock taken once per batch guards it (some 20 ns per batch of 64).
 */
export class FramePool {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #sendStack: number;
  /** Arena offset of frame 0. */
  readonly #base: number;
  readonly #bytes: number;
  /** Bits of an offset from frame 0 that no frame's first byte has. */
  readonly #withinFrame: number;
  readonly #receiveFrames: number;
  readonly #sendFrames: number;
  /** Bytes from frame 0 to the first frame that is for sending. */
  readonly #sendFrom: number;
  /** Index into the arena's 16-bit view of the first mark. */
  readonly marks: number;

  /**
   * @param at arena byte offset of the pool's memory
   * @param base arena offset of frame 0
   */
  constructor(arena: Arena, at: number, base: number, frameSize: number, frames: number, receiveFrames: number) {
    this.#words = arena.i32;
    this.#at = at >> 2;
    this.#sendStack = this.#at + STACKS + receiveFrames;
    this.#base = base;
    this.#bytes = frames * frameSize;
    this.#withinFrame = frameSize - 1;
    this.#receiveFrames = receiveFrames;
    this.#sendFrames = frames - receiveFrames;
    this.#sendFrom = receiveFrames * frameSize;
    this.marks = (at >> 1) + (STACKS + frames) * 2;
  }

  /**
   * Puts every frame on its stack, whoever had it; for the thread that made the buffer. In scattered order, always the same: frames taken in
   * steps of one frame size let the reading core's stride prefetcher fetch the frames that the writing core is about to fill, and
   * both cores fight over them (rxdrop between two threads, 64 bytes: 17 Mpps in order, 31 scattered).
   */
  fill(base: number, frameSize: number, frames: number): void {
    const words = this.#words;
    words.fill(0, this.#at, this.#at + LAST_MARK); // marks go on: rings of before may not be taken for new ones
    const list = new Int32Array(frames);
    for (let i = 0; i < frames; i++) list[i] = base + i * frameSize;
    shuffle(list);
    this.give(list, 0, frames);
  }

  /**
   * A new mark, 1 to 32767. Each frame has 16 bits in which the rings that hold it may write their mark, and a bit of their own above
   * it, where the ring format itself does not tell after a close which frames were in it (AF_XDP). 0 is "in no such ring".
   */
  newMark(): number {
    return (Atomics.add(this.#words, this.#at + LAST_MARK, 1) % 32767) + 1;
  }

  /** Free frames for a purpose. */
  free(purpose: FramePurpose): number {
    return Atomics.load(this.#words, this.#at + (purpose === 'receive' ? RECEIVE_FREE : SEND_FREE));
  }

  /** Takes up to `count` frames (their arena offsets) into `into` from index `at`; returns how many there were. */
  take(into: Int32Array, at: number, count: number, purpose: FramePurpose): number {
    const words = this.#words;
    const counter = this.#at + (purpose === 'receive' ? RECEIVE_FREE : SEND_FREE);
    const receiving = purpose === 'receive';
    const stack = receiving ? this.#at + STACKS : this.#sendStack;
    const room = receiving ? this.#receiveFrames : this.#sendFrames;
    const base = this.#base;
    const bytes = this.#bytes;
    const within = this.#withinFrame;
    this.#acquire();
    const free = clamp(words[counter]!, room);
    const wanted = Math.min(count, free);
    let taken = 0;
    const top = (stack + free) | 0;
    for (let i = 1; i <= wanted; i++) {
      const frame = words[(top - i) | 0]!;
      if (frame >>> 0 >= bytes || (frame & within) !== 0) continue;
      into[(at + taken) | 0] = (base + frame) | 0;
      taken = (taken + 1) | 0;
    }
    words[counter] = free - wanted;
    Atomics.store(words, this.#at + LOCK, 0);
    return taken;
  }

  /** Takes frames back; each goes to the stack of its home. They must be frames of this buffer, each given once. */
  give(frames: Int32Array, from: number, count: number): void {
    const words = this.#words;
    const base = this.#base;
    const sendFrom = this.#sendFrom;
    this.#acquire();
    let receiveTop = this.#at + STACKS + clamp(words[this.#at + RECEIVE_FREE]!, this.#receiveFrames);
    let sendTop = this.#sendStack + clamp(words[this.#at + SEND_FREE]!, this.#sendFrames);
    const receiveEnd = this.#sendStack;
    const sendEnd = this.#sendStack + this.#sendFrames;
    for (let i = from; i < from + count; i++) {
      const frame = (frames[i]! - base) | 0;
      if (frame < sendFrom) {
        if (receiveTop >= receiveEnd) continue;
        words[receiveTop] = frame;
        receiveTop = (receiveTop + 1) | 0;
      } else if (sendTop < sendEnd) {
        words[sendTop] = frame;
        sendTop = (sendTop + 1) | 0;
      }
    }
    words[this.#at + RECEIVE_FREE] = receiveTop - this.#at - STACKS;
    words[this.#at + SEND_FREE] = sendTop - this.#sendStack;
    Atomics.store(words, this.#at + LOCK, 0);
  }

  #acquire(): void {
    if (Atomics.compareExchange(this.#words, this.#at + LOCK, 0, 1) !== 0) this.#acquireSlowly();
  }

  #acquireSlowly(): void {
    const since = performance.now();
    for (let spins = 1; Atomics.compareExchange(this.#words, this.#at + LOCK, 0, 1) !== 0; spins++) {
      if ((spins & 0xfff) === 0 && performance.now() - since > LOCK_ABANDONED_MILLISECONDS) return;
    }
  }
}

/** A count of free frames that another process may have overwritten. */
function clamp(free: number, room: number): number {
  return free >>> 0 <= room ? free : 0;
}

/** Fisher and Yates' shuffle with a fixed seed. */
function shuffle(list: Int32Array): void {
  let state = 0x2545f491;
  for (let i = list.length - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    const kept = list[i]!;
    list[i] = list[j]!;
    list[j] = kept;
  }
}
