import type { Arena, Region } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import type { MemoryRegistration } from '../kernel/contract.js';

interface Registered {
  readonly base: number;
  readonly frames: number;
  readonly frameSize: number;
  users: number;
}

/**
 * Keeps the kernel's memory and the packet buffers that applications register apart. Both lie in one arena, and a registration is
 * only a claim: an application that registered the NIC's descriptor rings as its packet buffer could make the device write
 * anywhere (X1). The same buffer may be registered any number of times (F6); buffers that overlap otherwise are refused.
 */
export class KernelMemory {
  /** The arena for everything that belongs to the kernel: it remembers what it gave out. Same memory, same free parts. */
  readonly arena: Arena;
  readonly #whole: Arena;
  /** Offsets and bytes of the kernel's regions. */
  readonly #own = new Map<number, number>();
  readonly #registered = new Set<Registered>();

  constructor(whole: Arena) {
    this.#whole = whole;
    // An object of its own in front of the arena, whose views it inherits: no copy that could differ.
    this.arena = Object.create(whole, {
      allocate: { value: (bytes: number, alignment?: number) => this.#allocate(bytes, alignment) },
      free: { value: (region: Region) => this.#free(region) },
      freeBytes: { get: () => whole.freeBytes },
    });
  }

  #allocate(bytes: number, alignment?: number): Region {
    // Memory that somebody has registered without owning it is free as far as the arena knows; it is none of the kernel's.
    const passedOver: Region[] = [];
    try {
      for (;;) {
        const region = alignment === undefined ? this.#whole.allocate(bytes) : this.#whole.allocate(bytes, alignment);
        if (!this.#isRegistered(region)) {
          this.#own.set(region.offset, region.bytes);
          return region;
        }
        passedOver.push(region);
      }
    } finally {
      for (const region of passedOver) this.#whole.free(region);
    }
  }

  #free(region: Region): void {
    this.#own.delete(region.offset);
    this.#whole.free(region);
  }

  #isRegistered({ offset, bytes }: Region): boolean {
    for (const { base, frames, frameSize } of this.#registered) {
      if (offset < base + frames * frameSize && base < offset + bytes) return true;
    }
    return false;
  }

  /**
   * Notes a packet buffer, which lies in the arena.
   * @returns what takes it back, to be called once
   * @throws PacketError INVALID_OPTION
   */
  register({ base, frames, frameSize }: MemoryRegistration): () => void {
    const end = base + frames * frameSize;
    for (const [offset, bytes] of this.#own) {
      if (offset < end && base < offset + bytes) throw refused(base, end, "the kernel's own memory");
    }
    let same: Registered | undefined;
    for (const one of this.#registered) {
      if (one.base === base && one.frames === frames && one.frameSize === frameSize) same = one;
      else if (one.base < end && base < one.base + one.frames * one.frameSize) {
        throw refused(base, end, 'a packet buffer of other frames');
      }
    }
    const entry = same ?? { base, frames, frameSize, users: 0 };
    entry.users++;
    this.#registered.add(entry);
    return () => {
      if (--entry.users === 0) this.#registered.delete(entry);
    };
  }
}

function refused(base: number, end: number, what: string): PacketError {
  return new PacketError('INVALID_OPTION', `packet buffer: bytes ${base} to ${end} of the arena overlap with ${what}`, {
    remedy: 'register memory of your own (PacketBuffer.create), or the same buffer with the same frames',
  });
}
