import type { DropPlace, KernelStatistics } from '../kernel/contract.js';
import type { Struct } from './struct.js';

/** A count of packets from a ring's free-running 32-bit index, right as long as it is looked at once in 2^32 packets. */
class IndexCount {
  readonly #i32: Int32Array;
  readonly #word: number;
  #last: number;
  total = 0;

  constructor(i32: Int32Array, offset: number) {
    this.#i32 = i32;
    this.#word = offset >> 2;
    this.#last = Atomics.load(i32, this.#word);
  }

  look(): void {
    const now = Atomics.load(this.#i32, this.#word);
    this.total += (now - this.#last) >>> 0;
    this.#last = now;
  }
}

/**
 * Turns what the kernel counts for an AF_XDP socket (linux/if_xdp.h, struct xdp_statistics) into frames received and
 * sent, by the rings' indices, and packets dropped by place.
 */
export class XdpStatistics {
  #received: IndexCount | undefined;
  #consumed: IndexCount | undefined;
  #completed: IndexCount | undefined;
  #zeroCopy = false;
  #dropped = 0;
  #invalidReceive = 0;
  #invalidTransmit = 0;
  #ringFull = 0;
  #fillEmpty = 0;
  #ruleDrops = 0;

  /**
   * @param receive byte offset of the RX ring's producer word, where there is such a ring
   * @param transmit byte offsets of the TX ring's consumer word and the completion ring's producer word
   */
  observe(i32: Int32Array, receive?: number, transmit?: { consumer: number; completed: number }): void {
    if (receive !== undefined) this.#received = new IndexCount(i32, receive);
    if (transmit === undefined) return;
    this.#consumed = new IndexCount(i32, transmit.consumer);
    this.#completed = new IndexCount(i32, transmit.completed);
  }

  /** Which of two ways of counting the kernel has. */
  bound(zeroCopy: boolean): void {
    this.#zeroCopy = zeroCopy;
  }

  /**
   * Takes a struct xdp_statistics over, and the ring indices of the same moment.
   *
   * @param ruleDrops packets that the program has dropped because of the socket's rules
   */
  read(raw: Struct, ruleDrops = 0): void {
    this.#ruleDrops = ruleDrops;
    this.#dropped = raw.readU64(0);
    this.#invalidReceive = raw.readU64(8);
    this.#invalidTransmit = raw.readU64(16);
    this.#ringFull = raw.readU64(24);
    this.#fillEmpty = raw.readU64(32);
    this.#received?.look();
    this.#consumed?.look();
    this.#completed?.look();
  }

  /** @param refused packets that were completed, but that the device's queue did not take (kicks that ended in EBUSY) */
  take(refused: number): KernelStatistics {
    const drops: Partial<Record<DropPlace, number>> = {};
    const count = (place: DropPlace, packets: number): void => {
      if (packets > 0) drops[place] = packets;
    };
    count('receive-ring-full', this.#ringFull);
    count('invalid-descriptor', this.#invalidReceive + this.#invalidTransmit);
    count('transmit-error', refused);
    count('rule', this.#ruleDrops);
    // In copy mode each packet without a frame counts as dropped, too; what is left of those was longer than a frame. In
    // zero-copy mode the driver asks for frames ahead, and an empty fill ring costs no packet here: the device drops them.
    count('too-long', Math.max(0, this.#dropped - (this.#zeroCopy ? 0 : this.#fillEmpty)));
    if (!this.#zeroCopy) count('fill-ring-empty', this.#fillEmpty);
    // What came back was sent, but for invalid descriptors: newer kernels complete those, too, older ones do not.
    const valid = (this.#consumed?.total ?? 0) - this.#invalidTransmit;
    const sent = Math.min(valid, this.#completed?.total ?? 0) - refused;
    return { received: this.#received?.total ?? 0, sent: Math.max(0, sent), drops };
  }
}
