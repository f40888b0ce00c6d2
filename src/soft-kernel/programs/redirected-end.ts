import type { QueueEnds } from '../../driver/contract.js';
import { CONTINUES, PacketArray } from '../../packet-array/packet-array.js';
import type { Device } from '../device.js';
import { PageCopier } from './page-copier.js';

type ReceiveQueueEnd = QueueEnds['receive'];

/** Entries that are copied at a time. */
const ENTRIES = 1024;

/**
 * The receive end of a queue whose frames are an application's, but whose packets are the application's only where a program says so
 * (`receive: { xskmap }`). What is flushed here goes to the stack, as a copy (D2); what is redirected goes to the application's ring in
 * place.
 */
export class RedirectedEnd implements ReceiveQueueEnd {
  /** The application's ring. */
  readonly rings: ReceiveQueueEnd;
  /** Whether it is so at the moment; otherwise all packets are the application's. */
  passesToStack = true;
  readonly room: number;
  readonly frameBytes: number;
  readonly #device: Device;
  readonly #queue: number;
  readonly #copier: PageCopier;
  readonly #copies = new PacketArray(ENTRIES);
  readonly #frames = new Int32Array(ENTRIES);

  constructor(rings: ReceiveQueueEnd, device: Device, queue: number) {
    this.rings = rings;
    this.room = rings.room;
    this.frameBytes = rings.frameBytes;
    this.#device = device;
    this.#queue = queue;
    this.#copier = new PageCopier(device.means, device.pool);
  }

  populate(array: PacketArray, limit: number): number {
    return this.rings.populate(array, limit);
  }

  recycle(frames: Int32Array, count: number): void {
    this.rings.recycle(frames, count);
  }

  reclaim(array: PacketArray): void {
    this.rings.reclaim?.(array);
  }

  flush(array: PacketArray, count: number): void {
    if (!this.passesToStack) {
      this.rings.flush(array, count);
      return;
    }
    const end = (array.start + count) | 0;
    while (array.start !== end) this.#copySome(array, end);
  }

  /** Copies the first packets, as many as there is room to list. */
  #copySome(array: PacketArray, end: number): void {
    const { address, flags, mask } = array;
    const copies = this.#copies;
    const frames = this.#frames;
    let count = 0;
    while (array.start !== end && count < ENTRIES / 2) {
      const first = array.start;
      let last = first;
      while ((flags[last & mask]! & CONTINUES) !== 0 && ((last + 1) | 0) !== end) last = (last + 1) | 0;
      if (this.#copier.copy(array, first, last, copies) === 0) this.#device.lostForStack++;
      for (let i = first; i !== ((last + 1) | 0); i = (i + 1) | 0) frames[count++] = address[i & mask]!;
      array.start = (last + 1) | 0;
    }
    this.#copier.finish();
    copies.current = copies.end;
    if (copies.done > 0) this.#device.core.flush(this.#queue, copies, copies.done);
    this.rings.recycle(frames, count);
  }
}
