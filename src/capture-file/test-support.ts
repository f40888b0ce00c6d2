import { PacketError } from '../errors.js';
import { writeUint16, writeUint32 } from './byte-order.js';
import type { CaptureReader } from './contract.js';
import { openCapture } from './open-capture.js';
import type { ChunkSink } from './pcap-writer.js';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_INTERFACE,
  BLOCK_PACKET,
  BLOCK_SECTION_HEADER,
  BLOCK_SIMPLE_PACKET,
  BYTE_ORDER_MAGIC,
} from './pcapng-layout.js';

/** A packet of a file as plain data. */
export interface ReadPacket {
  readonly data: string;
  readonly originalLength: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly timestamped: boolean;
  readonly interface: number;
  readonly linkType: number;
}

/** What a file yields: packets and, where it is damaged, the error behind them. */
export interface ReadResult {
  readonly packets: ReadPacket[];
  readonly error: PacketError | undefined;
}

/** Copies the packet that a reader stands at. */
export function copyPacket(reader: CaptureReader): ReadPacket {
  const { offset, length, ...rest } = reader.packet;
  let data = '';
  for (let at = offset; at < offset + length; at++) data += (reader.bytes[at]! & 0xff).toString(16).padStart(2, '0');
  return { data, ...rest };
}

/** Reads a whole file. Errors other than PacketError are thrown, and packets that lie outside the bytes, too. */
export function readFile(bytes: Uint8Array): ReadResult {
  const packets: ReadPacket[] = [];
  try {
    const reader = openCapture(bytes);
    while (reader.next()) {
      const { offset, length } = reader.packet;
      if (!(offset >= 0 && length >= 0 && offset + length <= reader.bytes.length)) throw new Error('outside the file');
      packets.push(copyPacket(reader));
    }
    if (!reader.ended) throw new Error('not ended');
    return { packets, error: undefined };
  } catch (error) {
    if (error instanceof PacketError) return { packets, error };
    throw error;
  }
}

/** Keeps what a writer writes. */
export class ChunkList implements ChunkSink {
  readonly chunks: Uint8Array[] = [];

  write(chunk: Uint8Array): void {
    this.chunks.push(chunk);
  }

  get bytes(): Uint8Array {
    return joinBytes(this.chunks);
  }
}

export function joinBytes(parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Puts a pcapng file together, block by block. */
export class PcapngBuilder {
  bigEndian = false;
  readonly #parts: Uint8Array[] = [];

  section(bigEndian: boolean, options: readonly number[] = []): this {
    this.bigEndian = bigEndian;
    const length = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    return this.block(BLOCK_SECTION_HEADER, [
      ...this.u32(BYTE_ORDER_MAGIC),
      ...this.u16(1),
      ...this.u16(0),
      ...length,
      ...options,
    ]);
  }

  interface(linkType = 1, snapLength = 0, options: readonly number[] = []): this {
    return this.block(BLOCK_INTERFACE, [...this.u16(linkType), ...this.u16(0), ...this.u32(snapLength), ...options]);
  }

  option(code: number, value: readonly number[]): number[] {
    return [...this.u16(code), ...this.u16(value.length), ...pad(value)];
  }

  enhanced(
    from: number,
    ticks: bigint,
    data: Uint8Array,
    originalLength = data.length,
    options: readonly number[] = [],
  ): this {
    const head = [...this.u32(from), ...this.ticks(ticks), ...this.u32(data.length), ...this.u32(originalLength)];
    return this.block(BLOCK_ENHANCED_PACKET, [...head, ...pad([...data]), ...options]);
  }

  obsolete(from: number, ticks: bigint, data: Uint8Array, originalLength = data.length): this {
    const head = [...this.u16(from), ...this.u16(9), ...this.ticks(ticks)];
    return this.block(BLOCK_PACKET, [
      ...head,
      ...this.u32(data.length),
      ...this.u32(originalLength),
      ...pad([...data]),
    ]);
  }

  simple(data: Uint8Array, originalLength = data.length): this {
    return this.block(BLOCK_SIMPLE_PACKET, [...this.u32(originalLength), ...pad([...data])]);
  }

  block(type: number, body: readonly number[]): this {
    const length = this.u32(body.length + 12);
    this.#parts.push(joinBytes([this.u32(type), length, body, length]));
    return this;
  }

  u16(value: number): number[] {
    const bytes = new Uint8Array(2);
    writeUint16(bytes, 0, value, this.bigEndian);
    return [...bytes];
  }

  u32(value: number): number[] {
    const bytes = new Uint8Array(4);
    writeUint32(bytes, 0, value, this.bigEndian);
    return [...bytes];
  }

  ticks(value: bigint): number[] {
    return [...this.u32(Number(value >> 32n)), ...this.u32(Number(value & 0xffffffffn))];
  }

  get bytes(): Uint8Array {
    return joinBytes(this.#parts);
  }
}

function pad(data: readonly number[]): number[] {
  return [...data, ...new Array<number>(-data.length & 3).fill(0)];
}

export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.replace(/\s/g, '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
