import { PacketArray } from '../../packet-array/packet-array.js';
import type { CopyMeans } from '../../ring/frame-kernel-rings.js';
import { PAGE_ROOM, type PagePool } from '../page-pool.js';
import { PageCopier } from './page-copier.js';

/** Frames of a packet at most, with room to spare: one of 65535 bytes takes 37. */
const ENTRIES = 64;

/** A queue that packets leave by, in frames of the page pool: of a device, or of a CPU. */
export interface Exit {
  /** Frames that can be pushed. */
  readonly room: number;
  /** Takes over one frame; the frames of a packet come one after the other. The caller has checked `room`. */
  push(address: number, length: number, flags: number): void;
}

/**
 * Moves packets to exits. Frames of the page pool go along; of an application's frames the packet is copied (D4). `finish` completes the copies;
 * it comes before anybody looks into the exits.
 */
export class Departures {
  readonly #copier: PageCopier;
  readonly #copied = new PacketArray(ENTRIES);

  constructor(means: CopyMeans, pool: PagePool) {
    this.#copier = new PageCopier(means, pool);
  }

  /**
   * Hands the packet of the entries `first` to `last` (free-running) over, frames and all.
   *
   * @returns whether the exit had room; otherwise the frames stay with the caller
   */
  move(exit: Exit, array: PacketArray, first: number, last: number): boolean {
    if (exit.room <= ((last - first) | 0)) return false;
    pushAll(exit, array, first, (last + 1) | 0);
    return true;
  }

  /** The same with a copy; the frames stay with the caller. @returns whether the exit had room, and the page pool frames */
  copy(exit: Exit, array: PacketArray, first: number, last: number): boolean {
    if (exit.room < Math.ceil(packetBytes(array, first, last) / PAGE_ROOM)) return false;
    const copied = this.#copied;
    if (this.#copier.copy(array, first, last, copied) === 0) return false;
    pushAll(exit, copied, copied.start, copied.end);
    copied.start = copied.current = copied.end;
    return true;
  }

  finish(): void {
    this.#copier.finish();
  }
}

/** Bytes of the packet of the entries `first` to `last`. */
export function packetBytes(array: PacketArray, first: number, last: number): number {
  const { length, mask } = array;
  let bytes = length[last & mask]!;
  for (let i = first; i !== last; i = (i + 1) | 0) bytes += length[i & mask]!;
  return bytes;
}

function pushAll(exit: Exit, { address, length, flags, mask }: PacketArray, first: number, end: number): void {
  for (let i = first; i !== end; i = (i + 1) | 0) {
    const at = i & mask;
    exit.push(address[at]!, length[at]!, flags[at]!);
  }
}
