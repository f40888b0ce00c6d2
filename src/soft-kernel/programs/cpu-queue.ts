import { CONTINUES, PacketArray } from '../../packet-array/packet-array.js';
import type { Device } from '../device.js';
import type { PagePool } from '../page-pool.js';
import type { Exit } from './departures.js';

/** Frames of a CPU's queue that are handled in one step of the kernel; the rest of a packet comes on top. */
const BUDGET = 64;
/** A receive queue's number takes so many bits of an entry's cookie, its device's position the others. */
const QUEUE_BITS = 16;
const QUEUE_MASK = (1 << QUEUE_BITS) - 1;

/**
 * The queue of an entry of a cpumap. The soft kernel has one thread, so a CPU is a later moment: what is redirected to one waits here until
 * the kernel's next step, and then goes to the stack of the device that it came from.
 */
export class CpuQueue implements Exit {
  readonly #limit: number;
  readonly #waiting: PacketArray;
  readonly #devices: Device[] = [];
  /** Where the packets come from that are pushed next. */
  #origin = 0;

  /** @param limit most frames that wait */
  constructor(limit: number) {
    this.#limit = limit;
    this.#waiting = new PacketArray(Math.max(2, 2 ** Math.ceil(Math.log2(limit))));
  }

  /** Most frames that wait. */
  get limit(): number {
    return this.#limit;
  }

  /** Frames that wait. */
  get waiting(): number {
    return this.#waiting.outstanding;
  }

  get room(): number {
    return this.#limit - this.#waiting.outstanding;
  }

  /** Says where the packets come from that are pushed from now on. */
  from(device: Device, queue: number): void {
    let position = this.#devices.indexOf(device);
    if (position < 0) position = this.#devices.push(device) - 1;
    this.#origin = (position << QUEUE_BITS) | queue;
  }

  push(address: number, length: number, flags: number): void {
    this.#waiting.add(address, length, flags & CONTINUES, this.#origin);
  }

  /** Hands packets on, up to a budget. Returns frames handed on. */
  work(): number {
    let handled = 0;
    while (handled < BUDGET && this.#waiting.outstanding > 0) handled += this.#handOn();
    return handled;
  }

  /** Hands on the packets in front that come from one queue. */
  #handOn(): number {
    const waiting = this.#waiting;
    const { flags, cookie, mask, current } = waiting;
    const { outstanding } = waiting;
    const origin = cookie[current & mask]!;
    let count = 0;
    let whole = false;
    while (count < outstanding && !(whole && count >= BUDGET)) {
      const at = (current + count) & mask;
      if (cookie[at] !== origin) break;
      whole = (flags[at]! & CONTINUES) === 0;
      count++;
    }
    waiting.advance(count);
    this.#devices[origin >>> QUEUE_BITS]!.core.deliver(origin & QUEUE_MASK, waiting, count);
    return count;
  }

  /** Gives the frames back. */
  close(pool: PagePool): void {
    pool.reclaim(this.#waiting, this.#waiting.end);
  }
}
