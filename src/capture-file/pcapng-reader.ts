import { PacketError } from '../errors.js';
import { readUint16, readUint32 } from './byte-order.js';
import type { CaptureInput } from './capture-input.js';
import type { CaptureFormat, CaptureInterface, CapturePacket } from './contract.js';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_HEAD_BYTES,
  BLOCK_INTERFACE,
  BLOCK_PACKET,
  BLOCK_SECTION_HEADER,
  BLOCK_SIMPLE_PACKET,
  BLOCK_TAIL_BYTES,
  BYTE_ORDER_MAGIC,
  DEFAULT_TIMESTAMP_RESOLUTION,
  OPTION_END,
  OPTION_TIMESTAMP_OFFSET,
  OPTION_TIMESTAMP_RESOLUTION,
  PCAPNG_MAJOR,
} from './pcapng-layout.js';
import { TimestampScale } from './pcapng-time.js';

/** Longer blocks of the kinds read here are taken for damage: what a reader that is fed with chunks holds stays bounded. */
const LONGEST_BLOCK = 128 << 20;
/** Descriptions are kept to the end of the file, so a hostile one must not have any number of them. */
const MOST_INTERFACES = 65536;

/** Bytes of a block of each kind with nothing optional in it. */
const SHORTEST_SECTION_HEADER = 28;
const SHORTEST_INTERFACE = 20;
const SHORTEST_PACKET = 32;
const SHORTEST_SIMPLE_PACKET = 16;

interface PcapngInterface extends CaptureInterface {
  readonly time: TimestampScale;
}

/** Reads pcapng files (draft-ietf-opsawg-pcapng): the packets of all sections; blocks of other kinds are stepped over. */
export class PcapngReader implements CaptureFormat {
  readonly name = 'pcapng';
  readonly interfaces: PcapngInterface[] = [];
  readonly #input: CaptureInput;
  readonly #packet: CapturePacket;
  #bigEndian = false;
  /** Files number their interfaces anew in each section. */
  #firstInterface = 0;
  /** Length of the block being stepped over, whose closing length is still to be checked; 0 for none. */
  #openBlock = 0;
  #blocks = 0;

  /** @param input at the start of a file that begins with a section header's type */
  constructor(input: CaptureInput, packet: CapturePacket) {
    this.#input = input;
    this.#packet = packet;
  }

  next(): boolean {
    while (this.#readable()) {
      if (this.#openBlock !== 0) {
        this.#closeBlock();
        continue;
      }
      const { bytes, start } = this.#input;
      switch (readUint32(bytes, start, this.#bigEndian)) {
        case BLOCK_SECTION_HEADER:
          this.#readSectionHeader();
          break;
        case BLOCK_INTERFACE:
          this.#readInterface();
          break;
        case BLOCK_ENHANCED_PACKET:
        case BLOCK_PACKET:
          this.#readPacket();
          return true;
        case BLOCK_SIMPLE_PACKET:
          this.#readSimplePacket();
          return true;
        default:
          this.#stepOver();
      }
    }
    return false;
  }

  /**
   * Whether the next block can be read, or the closing length of the one stepped over: false when more bytes are needed and at
   * the regular end. Blocks of the kinds read here are at hand as a whole then, with both lengths checked.
   */
  #readable(): boolean {
    const input = this.#input;
    if (input.skipping > 0) return this.#mayWait();
    if (this.#openBlock !== 0) return input.has(BLOCK_TAIL_BYTES) || this.#mayWait();
    if (!input.has(BLOCK_HEAD_BYTES)) return input.has(1) && this.#mayWait();
    const { bytes, start } = input;
    const type = readUint32(bytes, start, this.#bigEndian);
    if (type === BLOCK_SECTION_HEADER) {
      if (!input.has(12)) return this.#mayWait();
      this.#readByteOrder();
    }
    const length = readUint32(bytes, start + 4, this.#bigEndian);
    if (length < BLOCK_HEAD_BYTES + BLOCK_TAIL_BYTES || length % 4 !== 0) {
      throw this.#corrupt(`has an impossible length of ${length} bytes`);
    }
    if (!isRead(type)) return true;
    if (length > LONGEST_BLOCK) throw this.#corrupt(`claims ${length} bytes, more than ${LONGEST_BLOCK}`);
    if (!input.has(length)) return this.#mayWait();
    this.#checkClosingLength(start + length - BLOCK_TAIL_BYTES, length);
    return true;
  }

  /** False as long as more bytes may come. */
  #mayWait(): false {
    if (!this.#input.closed) return false;
    const { position, end, start } = this.#input;
    throw this.#input.corrupt(`pcapng: the file ends within block ${this.#blocks + 1}`, position + end - start);
  }

  #readByteOrder(): void {
    const { bytes, start } = this.#input;
    const magic = readUint32(bytes, start + 8, false);
    if (magic !== BYTE_ORDER_MAGIC && readUint32(bytes, start + 8, true) !== BYTE_ORDER_MAGIC) {
      throw this.#corrupt(`is a section header without a byte-order magic number (0x${magic.toString(16)})`, 8);
    }
    this.#bigEndian = magic !== BYTE_ORDER_MAGIC;
  }

  #readSectionHeader(): void {
    const { bytes, start } = this.#input;
    this.#checkShortest(SHORTEST_SECTION_HEADER, 'a section header');
    const major = readUint16(bytes, start + 12, this.#bigEndian);
    if (major !== PCAPNG_MAJOR) {
      throw new PacketError(
        'CAPTURE_UNSUPPORTED',
        `pcapng: a section of version ${major} at byte ${this.#input.position}; only version 1 can be read`,
        { remedy: 'convert the file: editcap -F pcap OLD NEW' },
      );
    }
    this.#firstInterface = this.interfaces.length;
    this.#leaveBlock();
  }

  #readInterface(): void {
    const { bytes, start } = this.#input;
    this.#checkShortest(SHORTEST_INTERFACE, 'an interface description');
    if (this.interfaces.length >= MOST_INTERFACES) {
      throw new PacketError(
        'CAPTURE_UNSUPPORTED',
        `pcapng: the file describes more than ${MOST_INTERFACES} interfaces`,
        { remedy: 'split the file: editcap -c COUNT OLD NEW' },
      );
    }
    const linkType = readUint16(bytes, start + 8, this.#bigEndian);
    const snapLength = readUint32(bytes, start + 12, this.#bigEndian);
    this.interfaces.push({ linkType, snapLength, time: this.#readTimestampScale() });
    this.#leaveBlock();
  }

  /** From the options of the interface description at hand. With damaged ones every later time would be wrong. */
  #readTimestampScale(): TimestampScale {
    const { bytes, start } = this.#input;
    const end = readUint32(bytes, start + 4, this.#bigEndian) - BLOCK_TAIL_BYTES;
    let resolution = DEFAULT_TIMESTAMP_RESOLUTION;
    let offsetSeconds = 0;
    let at = 16;
    while (at + 4 <= end) {
      const code = readUint16(bytes, start + at, this.#bigEndian);
      const length = readUint16(bytes, start + at + 2, this.#bigEndian);
      const value = at + 4;
      if (code === OPTION_END) break;
      if (value + length > end) throw this.#corrupt(`has an option (${code}) that goes beyond it`, at);
      if (code === OPTION_TIMESTAMP_RESOLUTION) {
        if (length !== 1) throw this.#corrupt(`has a timestamp resolution of ${length} bytes instead of 1`, at);
        resolution = bytes[start + value]!;
      } else if (code === OPTION_TIMESTAMP_OFFSET) {
        if (length !== 8) throw this.#corrupt(`has a timestamp offset of ${length} bytes instead of 8`, at);
        offsetSeconds = this.#readInt64(start + value);
      }
      at = value + ((length + 3) & ~3);
    }
    return new TimestampScale(resolution, offsetSeconds);
  }

  /** Exact up to 2^53, which is 285 million years. */
  #readInt64(offset: number): number {
    const bytes = this.#input.bytes;
    const high = readUint32(bytes, this.#bigEndian ? offset : offset + 4, this.#bigEndian) | 0;
    const low = readUint32(bytes, this.#bigEndian ? offset + 4 : offset, this.#bigEndian);
    return high * 2 ** 32 + low;
  }

  /** An enhanced packet block or an obsolete packet block. */
  #readPacket(): void {
    const { bytes, start } = this.#input;
    const bigEndian = this.#bigEndian;
    this.#checkShortest(SHORTEST_PACKET, 'a packet');
    const obsolete = readUint32(bytes, start, bigEndian) === BLOCK_PACKET;
    const number = obsolete ? readUint16(bytes, start + 8, bigEndian) : readUint32(bytes, start + 8, bigEndian);
    const length = readUint32(bytes, start + 20, bigEndian);
    const room = readUint32(bytes, start + 4, bigEndian) - SHORTEST_PACKET;
    if (length > room) throw this.#corrupt(`has room for ${room} bytes of packet data, but claims ${length}`, 20);
    const from = this.#interface(number);
    from.time.convert(readUint32(bytes, start + 12, bigEndian), readUint32(bytes, start + 16, bigEndian), this.#packet);
    this.#deliver(number, from, start + 28, length, readUint32(bytes, start + 24, bigEndian));
  }

  #readSimplePacket(): void {
    const { bytes, start } = this.#input;
    this.#checkShortest(SHORTEST_SIMPLE_PACKET, 'a simple packet');
    const from = this.#interface(0);
    const originalLength = readUint32(bytes, start + 8, this.#bigEndian);
    // Its captured length is nowhere written: what is neither padding nor cut by the snap length.
    let length = readUint32(bytes, start + 4, this.#bigEndian) - SHORTEST_SIMPLE_PACKET;
    if (originalLength < length) length = originalLength;
    if (from.snapLength !== 0 && from.snapLength < length) length = from.snapLength;
    this.#packet.seconds = 0;
    this.#packet.nanoseconds = 0;
    this.#packet.timestamped = false;
    this.#deliver(0, from, start + 12, length, originalLength);
  }

  #interface(number: number): PcapngInterface {
    const from = this.interfaces[this.#firstInterface + number];
    if (from !== undefined) return from;
    const known = this.interfaces.length - this.#firstInterface;
    throw this.#corrupt(`names interface ${number}, but its section has described ${known}`, 8);
  }

  #deliver(number: number, from: PcapngInterface, offset: number, length: number, originalLength: number): void {
    const packet = this.#packet;
    packet.offset = offset;
    packet.length = length;
    packet.originalLength = Math.max(originalLength, length);
    packet.interface = this.#firstInterface + number;
    packet.linkType = from.linkType;
    this.#leaveBlock();
  }

  /** Behind a block that is at hand. */
  #leaveBlock(): void {
    const { bytes, start } = this.#input;
    this.#input.skip(readUint32(bytes, start + 4, this.#bigEndian));
    this.#blocks++;
  }

  /** Up to the closing length: the bytes of a block that is not read need never be at hand. */
  #stepOver(): void {
    const { bytes, start } = this.#input;
    this.#openBlock = readUint32(bytes, start + 4, this.#bigEndian);
    this.#input.skip(this.#openBlock - BLOCK_TAIL_BYTES);
  }

  #closeBlock(): void {
    this.#checkClosingLength(this.#input.start, this.#openBlock);
    this.#input.skip(BLOCK_TAIL_BYTES);
    this.#openBlock = 0;
    this.#blocks++;
  }

  #checkClosingLength(offset: number, length: number): void {
    const closing = readUint32(this.#input.bytes, offset, this.#bigEndian);
    if (closing === length) return;
    throw this.#corrupt(`begins with a length of ${length} bytes, but ends with one of ${closing}`);
  }

  #checkShortest(shortest: number, what: string): void {
    const length = readUint32(this.#input.bytes, this.#input.start + 4, this.#bigEndian);
    if (length < shortest) throw this.#corrupt(`has ${length} bytes, too few for ${what}`);
  }

  /** @param at bytes behind the start of what is read at the moment */
  #corrupt(what: string, at = 0): PacketError {
    return this.#input.corrupt(`pcapng: block ${this.#blocks + 1} ${what}`, this.#input.position + at);
  }
}

function isRead(type: number): boolean {
  switch (type) {
    case BLOCK_SECTION_HEADER:
    case BLOCK_INTERFACE:
    case BLOCK_PACKET:
    case BLOCK_SIMPLE_PACKET:
    case BLOCK_ENHANCED_PACKET:
      return true;
    default:
      return false;
  }
}
