import type { Arena } from '../arena/arena.js';
import { PCAP_FILE_HEADER_BYTES, PCAP_PACKET_HEADER_BYTES } from '../capture-file/pcap-layout.js';
import { PcapWriter } from '../capture-file/pcap-writer.js';
import { checkInteger } from '../errors.js';
import { WireCounters, type WireSink } from './contract.js';

/** How much a recorder keeps. Plain data. */
export interface RecorderOptions {
  /** Bytes of the capture file at most, 4096 to 2^30; default 64 MiB. Memory is used as packets come. */
  readonly bytes?: number;
  /** Bytes of each packet, 1 to 262144; default 262144. */
  readonly snapLength?: number;
}

const DEFAULT_BYTES = 2 ** 26;
const DEFAULT_SNAP_LENGTH = 262144;
const CHUNK_BYTES = 65536;

/**
 * Keeps what a device sends as a pcap file in memory, with times in nanoseconds, and passes it on. From the first packet that no
 * longer fits, all are left out until `take`, so that a recording has no holes.
 */
export class Recorder implements WireSink {
  readonly counters = new WireCounters();
  /** Packets in the recording or taken with an earlier one, and packets that did not fit. */
  readonly details = { recorded: 0, not_recorded: 0 };
  readonly inner: WireSink;
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #limit: number;
  readonly #snapLength: number;
  readonly #epochSeconds: number;
  readonly #epochNanoseconds: number;
  #chunks: Uint8Array[] = [];
  #writer: PcapWriter;
  #bytes = PCAP_FILE_HEADER_BYTES;
  #full = false;

  /**
   * @param inner where the packets go on
   * @param epochMilliseconds what makes the kernel's times times of day, in milliseconds since 1970
   * @throws PacketError INVALID_OPTION
   */
  constructor(arena: Arena, options: RecorderOptions, inner: WireSink, epochMilliseconds: number) {
    checkRecorderOptions(options);
    this.inner = inner;
    this.#i32 = arena.i32;
    this.#u8 = arena.u8;
    this.#limit = options.bytes ?? DEFAULT_BYTES;
    this.#snapLength = options.snapLength ?? DEFAULT_SNAP_LENGTH;
    this.#epochSeconds = Math.floor(epochMilliseconds / 1000);
    this.#epochNanoseconds = Math.round((epochMilliseconds - this.#epochSeconds * 1000) * 1e6);
    this.#writer = this.#newFile();
  }

  transmit(list: number, count: number, now: number): void {
    const i32 = this.#i32;
    const nanoseconds = this.#epochNanoseconds + now;
    const seconds = Math.floor(nanoseconds / 1e9);
    const fraction = Math.floor(nanoseconds - seconds * 1e9);
    const { counters, details } = this;
    for (let i = 0; i < count; i++) {
      const pair = (list >> 2) + 2 * i;
      const length = i32[pair + 1]!;
      counters.bytes += length;
      this.#bytes += PCAP_PACKET_HEADER_BYTES + Math.min(length, this.#snapLength);
      if (this.#bytes > this.#limit) this.#full = true;
      if (this.#full) {
        details.not_recorded++;
        continue;
      }
      this.#writer.write(this.#u8, i32[pair]!, length, this.#epochSeconds + seconds, fraction);
      details.recorded++;
    }
    counters.packets += count;
    this.inner.transmit(list, count, now);
  }

  /** Hands over the recording, a whole pcap file, and begins a new one. The bytes are the caller's. */
  take(): Uint8Array {
    this.#writer.flush();
    let length = 0;
    for (const chunk of this.#chunks) length += chunk.length;
    const file = new Uint8Array(length);
    let at = 0;
    for (const chunk of this.#chunks) {
      file.set(chunk, at);
      at += chunk.length;
    }
    this.#writer = this.#newFile();
    return file;
  }

  #newFile(): PcapWriter {
    const chunks: Uint8Array[] = [];
    this.#chunks = chunks;
    this.#bytes = PCAP_FILE_HEADER_BYTES;
    this.#full = false;
    const sink = { write: (chunk: Uint8Array) => void chunks.push(chunk) };
    return new PcapWriter(sink, { snapLength: this.#snapLength, chunkBytes: Math.min(this.#limit, CHUNK_BYTES) });
  }

  /** The recording stays available. */
  close(): void {
    this.inner.close();
  }
}

/** @throws PacketError INVALID_OPTION */
export function checkRecorderOptions(options: RecorderOptions): void {
  checkInteger('bytes', options.bytes ?? DEFAULT_BYTES, 4096, 2 ** 30);
  checkInteger('snapLength', options.snapLength ?? DEFAULT_SNAP_LENGTH, 1, DEFAULT_SNAP_LENGTH);
}
