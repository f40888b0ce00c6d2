import { PacketError } from '../errors.js';
import { readUint32 } from './byte-order.js';
import { CaptureInput } from './capture-input.js';
import { type CaptureFormat, type CaptureInterface, CapturePacket, type CaptureReader } from './contract.js';
import {
  PCAP_FILE_HEADER_BYTES,
  PCAP_MAGIC_MICROSECONDS,
  PCAP_MAGIC_MODIFIED,
  PCAP_MAGIC_NANOSECONDS,
} from './pcap-layout.js';
import { PcapReader } from './pcap-reader.js';
import { BLOCK_SECTION_HEADER } from './pcapng-layout.js';
import { PcapngReader } from './pcapng-reader.js';

/**
 * Opens a capture file that lies in memory: pcap or pcapng, in either byte order, found out from its first bytes. A compressed
 * file is unpacked by the host first.
 *
 * @param bytes the whole file; read in place, not copied, so they must not change while packets are read
 * @throws PacketError CAPTURE_UNSUPPORTED where it is no such file, CAPTURE_CORRUPT where it ends within its header
 */
export function openCapture(bytes: Uint8Array): CaptureReader {
  const stream = new CaptureStream();
  stream.push(bytes);
  stream.end();
  stream.open();
  return stream;
}

/**
 * Reads a capture file that comes in chunks. Memory stays flat: what has been read is forgotten, and at most one packet or block
 * is put together from several chunks.
 *
 *     for await (const chunk of chunks) {
 *       stream.push(chunk);
 *       while (stream.next()) inspect(stream.bytes, stream.packet.offset, stream.packet.length);
 *     }
 *     stream.end();
 *     stream.next();        // throws if the file was cut off
 */
export class CaptureStream implements CaptureReader {
  readonly packet = new CapturePacket();
  readonly #input = new CaptureInput();
  #format: CaptureFormat | undefined;
  #failure: unknown;
  #ended = false;

  /**
   * Adds a chunk. It is read in place where possible, so it must not change until the next call of `push` or the end.
   *
   * @throws PacketError WRONG_STATE after `end`
   */
  push(chunk: Uint8Array): void {
    if (this.#input.closed)
      throw new PacketError('WRONG_STATE', 'a chunk was pushed after the end of the capture file', {
        remedy: 'push every chunk before end(); a new file takes a new stream',
      });
    this.#input.push(chunk);
  }

  /** Says that no more chunks will come. */
  end(): void {
    this.#input.closed = true;
  }

  get format(): 'pcap' | 'pcapng' | undefined {
    return this.#format?.name;
  }

  get bytes(): Uint8Array {
    return this.#input.bytes;
  }

  get interfaces(): readonly CaptureInterface[] {
    return this.#format?.interfaces ?? [];
  }

  get ended(): boolean {
    return this.#ended;
  }

  next(): boolean {
    if (!this.open()) return false;
    try {
      if (this.#format!.next()) return true;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
    this.#ended = this.#input.closed;
    return false;
  }

  /**
   * Reads the file's header, if that has not been done; `next` does it, too.
   *
   * @returns false when more bytes are needed for it
   * @throws PacketError as `next`
   */
  open(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#format !== undefined) return true;
    try {
      this.#format = openFormat(this.#input, this.packet);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
    return this.#format !== undefined;
  }
}

const MAGIC_BYTES = 4;

function openFormat(input: CaptureInput, packet: CapturePacket): CaptureFormat | undefined {
  if (!input.has(MAGIC_BYTES)) return needMore(input);
  const { bytes, start } = input;
  for (const bigEndian of [false, true]) {
    const magic = readUint32(bytes, start, bigEndian);
    if (magic === BLOCK_SECTION_HEADER) return new PcapngReader(input, packet);
    if (magic === PCAP_MAGIC_MICROSECONDS || magic === PCAP_MAGIC_NANOSECONDS) {
      if (!input.has(PCAP_FILE_HEADER_BYTES)) return needMore(input);
      return new PcapReader(input, packet, bigEndian, magic === PCAP_MAGIC_NANOSECONDS);
    }
    if (magic === PCAP_MAGIC_MODIFIED) {
      throw new PacketError('CAPTURE_UNSUPPORTED', 'a "modified" pcap file (0xa1b2cd34), whose packet headers differ', {
        remedy: 'convert the file: editcap -F pcap OLD NEW',
      });
    }
  }
  const first = readUint32(bytes, start, true);
  const container = compression(first);
  if (container !== undefined) {
    throw new PacketError('CAPTURE_UNSUPPORTED', `a file compressed with ${container}, not a capture file itself`, {
      remedy: 'unpack it first',
    });
  }
  throw new PacketError(
    'CAPTURE_UNSUPPORTED',
    `neither a pcap nor a pcapng file: it begins with 0x${first.toString(16).padStart(8, '0')}`,
    { remedy: 'check the path; other formats can be converted: editcap -F pcap OLD NEW' },
  );
}

function needMore(input: CaptureInput): undefined {
  if (!input.closed) return undefined;
  throw input.corrupt(
    input.has(1) ? 'the file ends within its header' : 'the file is empty',
    input.position + input.end - input.start,
  );
}

/** Names of what captures are commonly packed with. */
function compression(first: number): string | undefined {
  if (first >>> 16 === 0x1f8b) return 'gzip';
  if (first === 0x28b52ffd) return 'zstd';
  if (first === 0x04224d18) return 'lz4';
  if (first === 0xfd377a58) return 'xz';
  return undefined;
}
