/**
 * Packets for copying, by reference: the packet core lists here what each socket is to receive (K2, F4). Columns, so that a
 * list is reused without allocation. A packet of several frames is a run of entries with the CONTINUES flag.
 */
export class PacketList {
  /** Arena offset of each part's first byte. */
  readonly address: Int32Array;
  /** Bytes. */
  readonly length: Int32Array;
  /** CONTINUES (as in packet arrays) or 0. */
  readonly flags: Int32Array;
  /** Bytes of metadata in front of each part, where a program has put some (K6); empty in lists that never have any. */
  readonly metadata: Int32Array;
  /** Entries in use. */
  count = 0;
  /** When they were received: seconds and nanoseconds of the kernel's clock. */
  seconds = 0;
  nanoseconds = 0;

  /** @param hasMetadata whether `metadata` says something: whoever adds entries then fills it in */
  constructor(
    readonly capacity: number,
    readonly hasMetadata = false,
  ) {
    this.address = new Int32Array(capacity);
    this.length = new Int32Array(capacity);
    this.flags = new Int32Array(capacity);
    this.metadata = new Int32Array(hasMetadata ? capacity : 0);
  }

  /** The caller has checked that `count` is below `capacity`. */
  add(address: number, length: number, flags: number): void {
    const at = this.count++;
    this.address[at] = address;
    this.length[at] = length;
    this.flags[at] = flags;
  }
}
