import { checkInteger } from '../errors.js';
import { checkChoice } from '../options.js';
import { writeUint16, writeUint32 } from './byte-order.js';
import { LINKTYPE_ETHERNET } from './contract.js';
import {
  DEFAULT_SNAP_LENGTH,
  PCAP_FILE_HEADER_BYTES,
  PCAP_MAGIC_MICROSECONDS,
  PCAP_MAGIC_NANOSECONDS,
  PCAP_MAJOR,
  PCAP_MINOR,
  PCAP_PACKET_HEADER_BYTES,
} from './pcap-layout.js';

/** Who takes what a writer has written. */
export interface ChunkSink {
  /** Takes a chunk; it is the sink's from then on. What this throws comes out of the writer's call. */
  write(chunk: Uint8Array): void;
}

/** How a pcap file is written. */
export interface PcapWriterOptions {
  /** Default {@link LINKTYPE_ETHERNET}. */
  readonly linkType?: number;
  /** Bytes to keep of each packet, 1 to 262144; default 262144. */
  readonly snapLength?: number;
  /** Default 'nanoseconds'. */
  readonly resolution?: 'nanoseconds' | 'microseconds';
  /** Default 'little'; readers take both. */
  readonly byteOrder?: 'little' | 'big';
  /** Bytes that are handed on at once, 64 to 2^30; default 65536. A packet that is longer makes a chunk of its own. */
  readonly chunkBytes?: number;
}

/**
 * From this many bytes on, `set` with a view made for it beats a loop (Node 20, whole call with 60 bytes: 64 ns against 130). The
 * view is the one allocation per packet; it dies young.
 */
const LONG_COPY = 24;

/**
 * Writes a pcap file (draft-ietf-opsawg-pcap) in chunks that begin and end between packets, so that what has arrived is readable
 * if the writer never comes to the end. Memory in use is one chunk.
 */
export class PcapWriter {
  readonly #sink: ChunkSink;
  readonly #snapLength: number;
  readonly #bigEndian: boolean;
  readonly #nanosecondsPerUnit: number;
  readonly #chunkBytes: number;
  #chunk: Uint8Array;
  #used = 0;

  /** @throws PacketError INVALID_OPTION that names the option */
  constructor(sink: ChunkSink, options: PcapWriterOptions = {}) {
    const linkType = checkInteger('linkType', options.linkType ?? LINKTYPE_ETHERNET, 0, 0xffff);
    this.#sink = sink;
    this.#snapLength = checkInteger('snapLength', options.snapLength ?? DEFAULT_SNAP_LENGTH, 1, DEFAULT_SNAP_LENGTH);
    this.#chunkBytes = checkInteger('chunkBytes', options.chunkBytes ?? 65536, 64, 2 ** 30);
    this.#bigEndian = isSecond('byteOrder', options.byteOrder, 'little', 'big');
    const microseconds = isSecond('resolution', options.resolution, 'nanoseconds', 'microseconds');
    this.#nanosecondsPerUnit = microseconds ? 1000 : 1;
    this.#chunk = new Uint8Array(this.#chunkBytes);
    writeUint32(this.#chunk, 0, microseconds ? PCAP_MAGIC_MICROSECONDS : PCAP_MAGIC_NANOSECONDS, this.#bigEndian);
    writeUint16(this.#chunk, 4, PCAP_MAJOR, this.#bigEndian);
    writeUint16(this.#chunk, 6, PCAP_MINOR, this.#bigEndian);
    writeUint32(this.#chunk, 16, this.#snapLength, this.#bigEndian);
    writeUint32(this.#chunk, 20, linkType, this.#bigEndian);
    this.#used = PCAP_FILE_HEADER_BYTES;
  }

  /**
   * Writes a packet; what lies behind the snap length is left out. A copy is made.
   *
   * @param offset and `length` of the data in `bytes`
   * @param seconds since 1970-01-01 00:00 UTC, 0 to 2^32 - 1 (year 2106)
   * @param nanoseconds 0 to 999,999,999; microsecond files cut them
   * @param originalLength on the wire, if the data is less than that
   */
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    seconds: number,
    nanoseconds: number,
    originalLength = length,
  ): void {
    const kept = Math.min(length, this.#snapLength);
    const needed = PCAP_PACKET_HEADER_BYTES + kept;
    if (this.#used + needed > this.#chunk.length) this.#renew(needed);
    const chunk = this.#chunk;
    const bigEndian = this.#bigEndian;
    const at = this.#used;
    writeUint32(chunk, at, seconds, bigEndian);
    writeUint32(chunk, at + 4, Math.floor(nanoseconds / this.#nanosecondsPerUnit), bigEndian);
    writeUint32(chunk, at + 8, kept, bigEndian);
    writeUint32(chunk, at + 12, originalLength, bigEndian);
    const data = at + PCAP_PACKET_HEADER_BYTES;
    if (kept < LONG_COPY) {
      for (let i = 0; i < kept; i++) chunk[data + i] = bytes[offset + i]!;
    } else {
      chunk.set(bytes.subarray(offset, offset + kept), data);
    }
    this.#used = data + kept;
  }

  /** Hands on what has been written so far: at the end, and whenever a reader should see it. */
  flush(): void {
    if (this.#used === 0) return;
    const written = this.#chunk.subarray(0, this.#used);
    this.#chunk = new Uint8Array(this.#chunkBytes);
    this.#used = 0;
    this.#sink.write(written);
  }

  #renew(needed: number): void {
    this.flush();
    if (needed > this.#chunk.length) this.#chunk = new Uint8Array(needed);
  }
}

/** Which of two values an option has; the first one is the default. */
function isSecond(option: string, value: string | undefined, first: string, second: string): boolean {
  return checkChoice(option, value ?? first, [first, second]) === second;
}
