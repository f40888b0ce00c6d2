import { Arena, PAGE_BYTES, type Region } from '../arena/arena.js';
import type { PageKind, PageSource } from '../arena/page-source.js';
import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import type { MemoryRegistration } from '../kernel/contract.js';
import { checkOptionNames } from '../options.js';
import { FramePool, type FramePurpose, framePoolBytes } from './frame-pool.js';

/** Bytes in front of every packet that belong to the kernel, for XDP (S2; Linux XDP_PACKET_HEADROOM). */
export const KERNEL_HEADROOM_BYTES = 256;
/** Bytes of a frame, unless a program says otherwise. */
export const DEFAULT_FRAME_BYTES = 2048;
/** User headroom comes in steps of this many bytes (S2). */
const HEADROOM_STEP_BYTES = 64;

/** Options of a packet buffer. */
export interface PacketBufferOptions {
  /** Number of frames, 8 to 1048576; default 4096. */
  readonly frames?: number;
  /**
   * Bytes per frame, a power of two from 2048; default 2048. Linux takes 2048 and 4096, the soft kernel up to 65536. A frame
   * holds the kernel's headroom, the user's headroom and a packet or part of one.
   */
  readonly frameSize?: number;
  /** Bytes to keep free in front of each packet (I6), rounded up to 64; default 0. */
  readonly headroom?: number;
  /** How many of the frames are for sending (`allocate`); the rest is for receiving. Default: half. */
  readonly sendFrames?: number;
  /** The arena to lie in; default the thread's own. */
  readonly arena?: Arena;
  /** @internal pages of its own to lie on, in that arena; default the arena's ordinary ones. See `createLinuxBuffer`. */
  readonly pageSource?: PageSource;
}

const OPTION_NAMES: readonly (keyof PacketBufferOptions)[] = [
  'frames',
  'frameSize',
  'headroom',
  'sendFrames',
  'arena',
  'pageSource',
];

/** Whoever sends frames of a buffer and gets them back from the kernel later: the rings of a socket. */
export interface FrameSender {
  /** Returns the frames that came back to the pool; how many. */
  reclaim(): number;
}

/** Senders that `reclaim` asks at most: an empty pool must not cost more with thousands of sockets. */
const SENDERS_ASKED = 8;

/** A packet buffer as plain data, for `postMessage` to a thread that shares the arena. */
export interface PacketBufferShare extends MemoryRegistration {
  /** How many of the frames, the last ones, are for sending. */
  readonly sendFrames: number;
}

/**
 * A packet buffer (I5, S2; umem in AF_XDP): a linear piece of memory (I3) of equal frames in the arena, and the pool of those that are
 * free. It may be registered several times, with sockets of several devices and kernels (F6); unless it is given to several, each socket
 * has its own (S6). Whoever has made it closes it.
 *
 *     base          base + frameSize                                     base + frames * frameSize
 *     | frame 0     | frame 1     | ...     | first send frame | ...     | free-frame stacks |
 *
 * What lies in front of a packet is the offset's affair (I6); no header of ours is written there, so that the core that runs the driver
 * need not touch packet data (I7).
 *
 *     one frame:  | kernel headroom 256 | user headroom | packet ... |
 */
export class PacketBuffer implements MemoryRegistration {
  /** The memory that it lies in. */
  readonly arena: Arena;
  readonly base: number;
  /** Number of frames. */
  readonly frames: number;
  readonly frameSize: number;
  readonly headroom: number;
  /** How many of the frames, the last ones, are for sending: `allocate` takes these and no others, receiving the rest. */
  readonly sendFrames: number;
  /** And-mask from an offset in a frame to the frame's first byte. */
  readonly frameMask: number;
  /** Bytes from a frame's start to where received packets start, and sent ones unless the program says otherwise (I6). */
  readonly dataOffset: number;
  /** @internal the free frames */
  readonly pool: FramePool;
  /** The pages that it lies on, as the kernel granted them. */
  readonly pages: PageKind;
  /** File descriptor for handing it to another process, where it was made to be shared; open until `close`. */
  readonly descriptor: number | undefined;
  /** @internal told of frames that come back from sending, before anybody can take them again: for the ownership checker */
  onReturn: ((frames: Int32Array, count: number) => void) | undefined;
  readonly #free: (() => void) | undefined;
  /** Senders on this thread, and which of them is asked first the next time. */
  readonly #senders: FrameSender[] = [];
  #nextSender = 0;
  #users = 0;
  #closed = false;

  private constructor(arena: Arena, share: PacketBufferShare, free?: () => void, source?: PageSource) {
    this.arena = arena;
    this.base = share.base;
    this.frames = share.frames;
    this.frameSize = share.frameSize;
    this.headroom = share.headroom;
    this.sendFrames = share.sendFrames;
    this.frameMask = ~(share.frameSize - 1);
    this.dataOffset = KERNEL_HEADROOM_BYTES + share.headroom;
    const end = share.base + share.frames * share.frameSize;
    this.pool = new FramePool(arena, end, share.base, share.frameSize, share.frames, share.frames - share.sendFrames);
    this.pages = source?.pages ?? '4k';
    this.descriptor = source?.descriptor;
    this.#free = free;
  }

  /**
   * Makes a packet buffer.
   *
   * @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED, and as its page source
   */
  static create(options: PacketBufferOptions = {}): PacketBuffer {
    checkOptionNames('packet buffer', options, OPTION_NAMES);
    const arena = options.arena ?? Arena.default();
    const frames = checkInteger('frames', options.frames ?? 4096, 8, 2 ** 20);
    const frameSize = checkPowerOfTwo('frameSize', options.frameSize ?? DEFAULT_FRAME_BYTES, 2048, 65536);
    const wanted = checkInteger('headroom', options.headroom ?? 0, 0, frameSize - KERNEL_HEADROOM_BYTES - 64);
    const headroom = Math.ceil(wanted / HEADROOM_STEP_BYTES) * HEADROOM_STEP_BYTES;
    checkInteger('headroom, rounded up to 64', headroom, 0, frameSize - KERNEL_HEADROOM_BYTES - 64);
    const sendFrames = checkInteger('sendFrames', options.sendFrames ?? frames >> 1, 0, frames);
    const bytes = frames * frameSize + framePoolBytes(frames);
    if (bytes > 2 ** 31) {
      throw new PacketError('ARENA_EXHAUSTED', `frames × frameSize: ${bytes} bytes exceed 2 GiB`, {
        remedy: `use fewer frames, fewer than ${2 ** 31 / frameSize} of this size, or smaller ones`,
      });
    }
    const alignment = Math.max(frameSize, PAGE_BYTES);
    const layout = { frames, frameSize, headroom, sendFrames };
    const { pageSource } = options;
    let region: Region;
    let free: () => void;
    if (pageSource === undefined) {
      region = arena.allocate(bytes, alignment);
      free = () => arena.free(region);
    } else {
      region = pageSource.allocate(bytes, alignment, layout);
      free = () => pageSource.free();
    }
    const buffer = new PacketBuffer(arena, { base: region.offset, ...layout }, free, pageSource);
    buffer.pool.fill(buffer.base, frameSize, frames);
    return buffer;
  }

  /** The same buffer on another thread, which must have adopted the arena. The maker must outlive it. */
  static attach(share: PacketBufferShare, arena: Arena = Arena.default()): PacketBuffer {
    return new PacketBuffer(arena, share);
  }

  /** @internal the same buffer in another process, where its pages have been mapped into the arena. `close` unmaps them there. */
  static adopt(share: PacketBufferShare, arena: Arena, source: PageSource): PacketBuffer {
    return new PacketBuffer(arena, share, () => source.free(), source);
  }

  /** What another thread needs for {@link PacketBuffer.attach}. */
  share(): PacketBufferShare {
    const { base, frames, frameSize, headroom, sendFrames } = this;
    return { base, frames, frameSize, headroom, sendFrames };
  }

  /** Bytes that a packet may fill in a frame when it starts behind the headroom. */
  get room(): number {
    return this.frameSize - this.dataOffset;
  }

  /** Free frames for a purpose, at this moment: other threads may take them. */
  free(purpose: FramePurpose): number {
    return this.pool.free(purpose);
  }

  /** @internal rings of this thread begin to send frames of the buffer */
  addSender(sender: FrameSender): void {
    this.#senders.push(sender);
  }

  /** @internal */
  removeSender(sender: FrameSender): void {
    const at = this.#senders.indexOf(sender);
    if (at >= 0) this.#senders.splice(at, 1);
  }

  /**
   * @internal For when the pool is empty: frames that have been sent may lie in the rings of a socket that is not used at the
   * moment. Asks the senders of this thread in turn, a few a call, until one has some; how many frames it was.
   */
  reclaim(): number {
    const senders = this.#senders;
    for (let asked = Math.min(senders.length, SENDERS_ASKED); asked > 0; asked--) {
      if (this.#nextSender >= senders.length) this.#nextSender = 0;
      const count = senders[this.#nextSender++]!.reclaim();
      if (count > 0) return count;
    }
    return 0;
  }

  /** Whether an arena offset lies in one of the frames. */
  contains(offset: number): boolean {
    return offset >= this.base && offset < this.base + this.frames * this.frameSize;
  }

  /** Whether its memory was given back: its frames are no more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** A socket registers the buffer; `close` is refused until it lets go. @throws PacketError WRONG_STATE when it is closed */
  retain(): void {
    if (this.#closed) throw closed();
    this.#users++;
  }

  /** A socket lets go of the buffer, which it had retained. */
  drop(): void {
    this.#users--;
  }

  /**
   * Makes every frame free again, whoever had it (X4): after threads or processes that shared the buffer have ended without giving theirs
   * back. Nobody may hold a frame any more, and no socket of another thread or process may be registered with it.
   *
   * @throws PacketError BUFFER_IN_USE while sockets of this thread are registered with it, WRONG_STATE
   */
  reset(): void {
    if (this.#closed) throw closed();
    this.#expectUnused();
    this.pool.fill(this.base, this.frameSize, this.frames);
  }

  #expectUnused(): void {
    if (this.#users === 0) return;
    throw new PacketError('BUFFER_IN_USE', `the packet buffer is registered with ${this.#users} socket(s)`, {
      remedy: 'close the sockets first',
    });
  }

  /**
   * Gives the memory back to the arena. Idempotent.
   *
   * @throws PacketError BUFFER_IN_USE while sockets are registered with it
   */
  close(): void {
    if (this.#closed) return;
    this.#expectUnused();
    this.#closed = true;
    this.#free?.();
  }

  /** `using`: {@link PacketBuffer.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function closed(): PacketError {
  return new PacketError('WRONG_STATE', 'the packet buffer is closed', { remedy: 'make another' });
}
