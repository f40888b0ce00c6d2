import type { Driver, QueueEnds } from '../driver/contract.js';
import { NO_END } from '../driver/no-end.js';
import type { CopyMeans } from '../ring/frame-kernel-rings.js';
import { type Wire, wireStatistics } from '../wire/options.js';
import { PacketCore } from './packet-core.js';
import { PAGE_FRAME_BYTES, PAGE_ROOM, type PagePool } from './page-pool.js';
import { DevicePrograms } from './programs/device-programs.js';
import type { EgressProgram } from './programs/egress-program.js';
import { TransmitQueue } from './transmit-queue.js';

/** Page-pool frames that an ordinary receive queue holds at most, however long its ring. */
const ORDINARY_FRAMES = 512;
/** Frames that wait to be sent, or are being sent, at most. */
const TRANSMIT_QUEUE_ENTRIES = 512;

/** A network device of the soft kernel: its driver, and the ordinary side of its queues. */
export class Device {
  readonly core: PacketCore;
  /** Queues that work for a socket in place. */
  readonly zeroCopyQueues = new Set<number>();
  /** Those of them whose received packets go to that socket. */
  readonly zeroCopyReceivers = new Set<number>();
  /** Copied packets wait here for the driver's ordinary transmit queue. */
  readonly transmitQueue: TransmitQueue;
  /** Packets that were to go to the stack from frames of an application, and found no page-pool frames. */
  lostForStack = 0;
  /** The program that packets meet on their way out; one that was stopped stays until what it has seen has come back. */
  egress: EgressProgram | undefined;
  readonly #ends = new Map<number, QueueEnds>();
  #driver: Driver | undefined;
  #wire: Wire | undefined;
  #programs: DevicePrograms | undefined;

  constructor(
    /** Number of the interface, from 1 on. */
    readonly index: number,
    readonly means: CopyMeans,
    u8: Uint8Array,
    readonly pool: PagePool,
  ) {
    this.core = new PacketCore(u8, pool);
    this.transmitQueue = new TransmitQueue(pool, TRANSMIT_QUEUE_ENTRIES);
  }

  /** What it knows of programs of users. */
  get programs(): DevicePrograms {
    this.#programs ??= new DevicePrograms(this.driver.name);
    return this.#programs;
  }

  /** Counters of driver, wire and programs, in the manner of `ethtool -S`. */
  statistics(): Record<string, number> {
    return {
      ...this.driver.statistics(),
      ...(this.#wire && wireStatistics(this.#wire)),
      ...this.#programs?.statistics(),
      ...(this.lostForStack > 0 && { rx_stack_no_frame: this.lostForStack }),
    };
  }

  get driver(): Driver {
    return this.#driver!;
  }

  /** The driver needs the ordinary ends when it is made, so it comes second; the wire comes where there is one. */
  attach(driver: Driver, wire?: Wire): void {
    this.#driver = driver;
    this.#wire = wire;
  }

  get wire(): Wire | undefined {
    return this.#wire;
  }

  /** Page pool and packet core as the ends of a queue pair. @param sends whether it is the queue of ordinary traffic */
  ordinaryEnds(queue: number, sends: boolean): QueueEnds {
    let ends = this.#ends.get(queue);
    if (ends === undefined) {
      const { pool, core } = this;
      ends = {
        receive: {
          room: PAGE_ROOM,
          frameBytes: PAGE_FRAME_BYTES,
          framePool: pool,
          populate: (array, limit) => pool.populate(array, Math.min(limit, ORDINARY_FRAMES - array.outstanding)),
          flush: (array, count) => core.flush(queue, array, count),
          recycle: (frames, count) => pool.recycle(frames, count),
          reclaim: (array) => pool.reclaim(array, array.end),
        },
        transmit: sends ? this.transmitQueue : NO_END,
      };
      this.#ends.set(queue, ends);
    }
    return ends;
  }
}
