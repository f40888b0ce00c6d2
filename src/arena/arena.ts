import { checkInteger, PacketError } from '../errors.js';
import { FreeParts, type Part } from './free-parts.js';
import { loadRoutines, type Routines } from './routines/routines.js';

/** Bytes of a page: regions start on page boundaries, as Linux wants for packet buffers and ring mappings. */
export const PAGE_BYTES = 4096;
const WASM_PAGE_BYTES = 65536;
/** The largest arena: every byte offset stays a small integer. */
export const MAXIMUM_ARENA_BYTES = 2 ** 31;
const DEFAULT_ARENA_BYTES = 2 ** 30;

/** A page-aligned part of the arena. Whoever allocated it owns it until `free`. */
export interface Region extends Part {
  /** Byte offset in the arena. */
  readonly offset: number;
  /** Length in bytes, whole pages. */
  readonly bytes: number;
}

/** A shared `WebAssembly.Memory`. Node's own types do not know that name, and programs are not to need those of browsers. */
export interface ArenaMemory {
  /** The memory's bytes, which never grow: a `SharedArrayBuffer`. */
  readonly buffer: ArrayBufferLike;
}

/** What `postMessage` carries to another thread, so that it can work in the same memory. */
export interface ArenaShare {
  /** The shared memory, all of it: what threads may touch is a matter of agreement (X1). */
  readonly memory: ArenaMemory;
  /** The part in which the other thread may allocate. */
  readonly region: Region;
}

/**
 * One shared WebAssembly memory that holds packet buffers, rings and the soft NIC's own memory (brief: "Arena"). Its pages
 * are committed when touched, so a large arena costs address space only. Everything on the data path is an index into one of
 * its three views; bulk routines in WebAssembly reach any two places of it.
 *
 *     0        page 1                                               bytes
 *     | unused | region | region | ...free... | region | ...        |
 *
 * The first page is never given out, so that offset 0 never names a packet. Threads that share the memory each allocate in a
 * part of their own (`share`), so that the allocator needs no lock.
 */
export class Arena {
  /** The memory itself: shared, of fixed size, so that the views never have to be made anew. */
  readonly memory: ArenaMemory;
  /** All of it as bytes: an offset is an index. */
  readonly u8: Uint8Array;
  /** All of it as 16-bit words in the machine's byte order, which is little-endian: an offset halved is an index. */
  readonly u16: Uint16Array;
  /** Signed words: `Atomics.wait` wants them, and ring indices stay small integers in them. Little-endian. */
  readonly i32: Int32Array;
  /** @internal bulk copies and the like in WebAssembly */
  readonly routines: Routines;
  readonly #free: FreeParts;

  private constructor(memory: ArenaMemory, region: Region) {
    this.memory = memory;
    this.u8 = new Uint8Array(memory.buffer);
    this.u16 = new Uint16Array(memory.buffer);
    this.i32 = new Int32Array(memory.buffer);
    this.routines = loadRoutines(memory);
    this.#free = new FreeParts(region);
  }

  /**
   * Makes an arena of its own. Most programs use {@link Arena.default} instead.
   *
   * @param bytes size in bytes, from 1 MiB to 2 GiB, rounded up to 64 KiB
   * @throws PacketError INVALID_OPTION, or ARENA_EXHAUSTED when the host has no address space for it
   */
  static create(bytes: number = DEFAULT_ARENA_BYTES): Arena {
    checkInteger('arena bytes', bytes, 2 ** 20, MAXIMUM_ARENA_BYTES);
    const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
    let memory: ArenaMemory;
    try {
      memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    } catch (cause) {
      throw new PacketError('ARENA_EXHAUSTED', `no address space for an arena of ${bytes} bytes`, {
        cause,
        remedy: 'ask for a smaller arena',
      });
    }
    return new Arena(memory, { offset: PAGE_BYTES, bytes: pages * WASM_PAGE_BYTES - PAGE_BYTES });
  }

  static #default: Arena | undefined;

  /** The arena of this thread: made on first use (1 GiB), unless {@link Arena.adopt} has set it. */
  static default(): Arena {
    Arena.#default ??= Arena.create();
    return Arena.#default;
  }

  /** Works in a memory that another thread shared; it becomes this thread's default arena. */
  static adopt(share: ArenaShare): Arena {
    Arena.#default = new Arena(share.memory, share.region);
    return Arena.#default;
  }

  /**
   * Sets `bytes` aside for another thread, for `postMessage` and {@link Arena.adopt} there. `free` the region when it is done.
   * @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED
   */
  share(bytes: number): ArenaShare {
    return { memory: this.memory, region: this.allocate(bytes) };
  }

  /** Bytes not given out, in total; the largest region is smaller when they are scattered. */
  get freeBytes(): number {
    return this.#free.bytes;
  }

  /**
   * Gives out a region, first fit. Its contents are whatever was there: zero where nothing was before (F7: packet buffers are
   * not cleaned).
   *
   * @param bytes wanted length, rounded up to whole pages
   * @param alignment power of two, in bytes; at least a page
   * @throws PacketError ARENA_EXHAUSTED
   */
  allocate(bytes: number, alignment: number = PAGE_BYTES): Region {
    checkInteger('region bytes', bytes, 1, MAXIMUM_ARENA_BYTES);
    const length = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    const offset = this.#free.take(length, alignment);
    if (offset !== undefined) return { offset, bytes: length };
    throw new PacketError(
      'ARENA_EXHAUSTED',
      `no region of ${length} bytes left in the arena (${this.freeBytes} bytes are free)`,
      { remedy: 'use fewer or smaller packet buffers and rings, or a larger arena (Arena.create, at most 2 GiB)' },
    );
  }

  /** Takes a region back. The caller must hold no offset into it any more. */
  free(region: Region): void {
    this.#free.give(region);
  }

  /** Writes zeros over a region, for rings: a fresh ring must not show what an earlier owner left. */
  clear(region: Region): void {
    this.u8.fill(0, region.offset, region.offset + region.bytes);
  }
}
