import { PacketError } from '../errors.js';
import { readUint16, readUint32 } from './byte-order.js';
import type { CaptureInput } from './capture-input.js';
import type { CaptureFormat, CaptureInterface, CapturePacket } from './contract.js';
import { PCAP_FILE_HEADER_BYTES, PCAP_MAJOR, PCAP_MINOR, PCAP_PACKET_HEADER_BYTES } from './pcap-layout.js';

/** A longer packet is taken for damage, as libpcap and Wireshark do, unless the file's snap length allows it ... */
const LONGEST_PACKET = 262144;
/** ... up to this, which bounds what a reader that is fed with chunks holds in memory. */
const LONGEST_SNAP_LENGTH = 128 << 20;

/** Reads pcap files (draft-ietf-opsawg-pcap). */
export class PcapReader implements CaptureFormat {
  readonly name = 'pcap';
  readonly interfaces: readonly CaptureInterface[];
  readonly #input: CaptureInput;
  readonly #packet: CapturePacket;
  readonly #bigEndian: boolean;
  readonly #unitsPerSecond: number;
  readonly #longest: number;
  #packets = 0;

  /**
   * @param input at the start of a file whose header is at hand and has a known magic number
   * @throws PacketError CAPTURE_UNSUPPORTED where the version is another one than 2.4
   */
  constructor(input: CaptureInput, packet: CapturePacket, bigEndian: boolean, nanoseconds: boolean) {
    const { bytes, start } = input;
    const major = readUint16(bytes, start + 4, bigEndian);
    const minor = readUint16(bytes, start + 6, bigEndian);
    // Below 2.4 the two lengths may stand the other way round.
    if (major !== PCAP_MAJOR || minor !== PCAP_MINOR) {
      throw new PacketError('CAPTURE_UNSUPPORTED', `pcap: version ${major}.${minor}; only version 2.4 can be read`, {
        remedy: 'convert the file: editcap -F pcap OLD NEW',
      });
    }
    const snapLength = readUint32(bytes, start + 16, bigEndian);
    // The upper half of the word tells of a frame check sequence.
    const linkType = readUint32(bytes, start + 20, bigEndian) & 0xffff;
    input.skip(PCAP_FILE_HEADER_BYTES);
    this.interfaces = [{ linkType, snapLength }];
    this.#input = input;
    this.#packet = packet;
    this.#bigEndian = bigEndian;
    this.#unitsPerSecond = nanoseconds ? 1e9 : 1e6;
    this.#longest = snapLength <= LONGEST_SNAP_LENGTH ? Math.max(snapLength, LONGEST_PACKET) : LONGEST_PACKET;
    packet.linkType = linkType;
    packet.interface = 0;
  }

  next(): boolean {
    const input = this.#input;
    if (!input.has(PCAP_PACKET_HEADER_BYTES)) {
      if (!input.closed || !input.has(1)) return false;
      throw input.corrupt(`pcap: the file ends within the header of packet ${this.#packets + 1}`);
    }
    const { bytes, start } = input;
    const bigEndian = this.#bigEndian;
    const length = readUint32(bytes, start + 8, bigEndian);
    if (length > this.#longest) {
      throw input.corrupt(`pcap: packet ${this.#packets + 1} claims ${length} bytes, more than ${this.#longest}`);
    }
    if (!input.has(PCAP_PACKET_HEADER_BYTES + length)) {
      if (!input.closed) return false;
      const there = input.end - start - PCAP_PACKET_HEADER_BYTES;
      throw input.corrupt(`pcap: the file ends within packet ${this.#packets + 1}, after ${there} of ${length} bytes`);
    }
    const packet = this.#packet;
    const originalLength = readUint32(bytes, start + 12, bigEndian);
    const fraction = readUint32(bytes, start + 4, bigEndian);
    // Some writers leave whole seconds in the fraction.
    const carry = Math.floor(fraction / this.#unitsPerSecond);
    packet.seconds = readUint32(bytes, start, bigEndian) + carry;
    packet.nanoseconds = (fraction - carry * this.#unitsPerSecond) * (1e9 / this.#unitsPerSecond);
    packet.timestamped = true;
    packet.length = length;
    packet.originalLength = Math.max(originalLength, length);
    packet.offset = start + PCAP_PACKET_HEADER_BYTES;
    input.skip(PCAP_PACKET_HEADER_BYTES + length);
    this.#packets++;
    return true;
  }
}
