/**
 * What a capture file says, in whatever format: packets, one after the other, by their place in the file's bytes. Nothing is
 * copied and nothing is allocated per packet.
 *
 *     const capture = openCapture(bytes);
 *     const packet = capture.packet;
 *     while (capture.next()) inspect(capture.bytes, packet.offset, packet.length);
 */
export interface CaptureReader {
  /** Undefined until enough bytes have come in to tell. */
  readonly format: 'pcap' | 'pcapng' | undefined;

  /** The packet that `next` moved to: one object that is filled again for each packet. */
  readonly packet: CapturePacket;

  /**
   * The bytes that `packet.offset` counts in. A reader that is fed with chunks changes them; they and the packet then hold until
   * the next `push`.
   */
  readonly bytes: Uint8Array;

  /** The interfaces that the file has described so far. A pcap file has one. */
  readonly interfaces: readonly CaptureInterface[];

  /** Whether the file has come to its regular end: `next` stays false. */
  readonly ended: boolean;

  /**
   * Moves to the next packet.
   *
   * @returns false where there is none (yet): at the end of the file, or when a reader that is fed with chunks needs another one
   * @throws PacketError CAPTURE_CORRUPT where the file is damaged or cut off, after every packet before the damage has been
   *   delivered; CAPTURE_UNSUPPORTED where it is none of the formats read here. From then on every call throws it again.
   */
  next(): boolean;
}

/** One packet of a capture file. */
export class CapturePacket {
  /** Of the first byte of data in {@link CaptureReader.bytes}. Together with `length` always within them. */
  offset = 0;
  /** Bytes of data in the file. */
  length = 0;
  /** Bytes that the packet had on the wire: more than `length` where the capture cut it, never less. */
  originalLength = 0;
  /** Seconds since 1970-01-01 00:00 UTC: a whole number, negative before. */
  seconds = 0;
  /** 0 to 999,999,999, on top of `seconds`. */
  nanoseconds = 0;
  /** False for the few packets (pcapng's simple packet blocks) without a time; both parts are then 0. */
  timestamped = false;
  /** Number of the interface in {@link CaptureReader.interfaces}. */
  interface = 0;
  /** What the data starts with: {@link LINKTYPE_ETHERNET} and others of the tcpdump.org registry. */
  linkType = 0;
}

/** An interface that packets of a capture file came from. */
export interface CaptureInterface {
  /** Number in the registry of link-layer types. */
  readonly linkType: number;
  /** Bytes of a packet that the capture kept at most; 0 for no limit. Files do not always adhere to it. */
  readonly snapLength: number;
}

/** Ethernet, from the destination address on, without FCS. */
export const LINKTYPE_ETHERNET = 1;
/** IPv4 or IPv6 without a link-layer header. */
export const LINKTYPE_RAW = 101;
/** Linux "cooked" header: what `tcpdump -i any` writes. */
export const LINKTYPE_LINUX_SLL = 113;
/** Its second version. */
export const LINKTYPE_LINUX_SLL2 = 276;

/**
 * A format, behind the reader that found out which one it is. `next` is the reader's; the same rules hold.
 */
export interface CaptureFormat {
  readonly name: 'pcap' | 'pcapng';
  readonly interfaces: readonly CaptureInterface[];
  next(): boolean;
}
