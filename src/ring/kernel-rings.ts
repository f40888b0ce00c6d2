import type { FrameSink, FrameSource, ReceiveEnd } from '../packet-array/packet-array.js';
import type { PacketList } from '../packet-array/packet-list.js';

/**
 * Invalid descriptors that one populate hands back at most, so that it is done soon however many an application posts: a ring of 65536
 * of them took 4 to 25 ms, in which other sockets' packets were lost. The rest has its turn in the next step.
 */
export const MOST_REFUSED = 256;

/**
 * The kernel side of one socket's rings on the soft kernel. One implementation per format, in the format's folder beside the
 * user side. Everything in the rings may be written by a hostile application at any moment: each word is read once,
 * validated, and only then used (X3); nothing here throws or loops without a bound.
 */
export interface KernelRings {
  /** V4, XDP: where empty receive frames come from and filled ones go to, in place. V2 and V3 have no frames. */
  readonly receive: ReceiveEnd | undefined;
  /** Where packets to send come from, validated, and go back to with their error; undefined without such a ring. */
  readonly transmit: (FrameSource & FrameSink & { readonly frameBytes?: number }) | undefined;
  /** Longest packet in bytes that may be sent; set when the socket is bound. Longer ones are invalid. */
  setLargestPacket(bytes: number): void;
  /**
   * Copy mode: copies packets into the ring (V2, V3) or into frames posted to it (V4, XDP); counts those that do not fit.
   * The packets stay the caller's.
   */
  deliver(packets: PacketList): void;
  /** Hands over what has waited long enough (V3 blocks). @param now nanoseconds */
  tick(now: number): void;
  /** When `tick` wants to be called next, in nanoseconds; Infinity for never. */
  nextTick(): number;
  /** Whether the application has posted something to send that was not populated yet. */
  transmitPosted(): boolean;
  /** Whether it has posted empty frames to receive into that were not populated yet; false for V2 and V3. */
  receivePosted(): boolean;
  readonly counters: KernelRingCounters;
}

/** What the kernel side of a socket's rings counts: `received` and `sent` in frames, invalid ones in descriptors, the rest in packets. */
export class KernelRingCounters {
  received = 0;
  sent = 0;
  fillRingEmpty = 0;
  receiveRingFull = 0;
  invalidDescriptor = 0;
  tooLong = 0;
  transmitError = 0;
  /** V3: blocks handed to the application. */
  handedOver = 0;
}
