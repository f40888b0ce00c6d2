import { PacketBatch } from '../ring/packet-batch.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { listCapturedPackets } from '../wire/captured-packets.js';
import { writeAsEthernet } from '../wire/ethernet-conversion.js';
import type { ReplayOptions } from '../wire/replay.js';
import { packetLengths, type TrafficOptions, writeTrafficPacket } from '../wire/traffic.js';

/** Writes packet number `index` at an arena offset that has `room` bytes; returns its bytes. */
export type PacketWriter = (bytes: Uint8Array, offset: number, index: number, room: number) => number;

/** The same packets that a generator sends: see src/wire/traffic.ts. */
export function trafficWriter(options: TrafficOptions): PacketWriter {
  const lengths = packetLengths(options);
  return (bytes, offset, index) => {
    const packet = index % lengths.length;
    writeTrafficPacket(bytes, offset, packet, lengths[packet]!, options);
    return lengths[packet]!;
  };
}

/**
 * The packets that a replay sends, see src/wire/replay.ts. Those longer than the room are cut off. They come in scattered order, so
 * that whatever number of frames a mode sends holds about the same mixture.
 */
export function captureWriter({ capture, asEthernet = false }: ReplayOptions): PacketWriter {
  const { offsets, capturedLengths, linkTypes, lengths } = listCapturedPackets(capture, asEthernet);
  const scratch = new Uint8Array(Math.max(...lengths));
  const stride = scatteringStride(lengths.length);
  return (bytes, offset, index, room) => {
    const packet = (index * stride) % lengths.length;
    writeAsEthernet(scratch, 0, linkTypes[packet]!, capture, offsets[packet]!, capturedLengths[packet]!);
    const length = Math.min(lengths[packet]!, room);
    bytes.set(scratch.subarray(0, length), offset);
    return length;
  };
}

/** A step, about the golden section of `count`, that visits all of `count` things when repeated. */
function scatteringStride(count: number): number {
  let stride = Math.max(1, Math.round(count * 0.618));
  while (greatestCommonDivisor(stride, count) !== 1) stride++;
  return stride;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/**
 * What txpush sends: every frame (or slot of the TX ring) that the socket can allocate holds a packet before the clock runs.
 */
export class PrefilledFrames {
  readonly #lengths: Int32Array;
  readonly #first: number;
  readonly #shift: number;
  /** Length of all packets where it is the same, else 0. */
  readonly #uniform: number;

  /** Allocates everything, writes, and releases it again. */
  constructor(socket: PacketSocket, write: PacketWriter) {
    const held: PacketBatch[] = [];
    const lengthAt = new Map<number, number>();
    for (let index = 0; ; ) {
      const batch = new PacketBatch(1024);
      if (socket.allocate(batch) === 0) break;
      held.push(batch);
      for (let i = 0; i < batch.length; i++) {
        const offset = batch.offset[i]!;
        lengthAt.set(offset, write(socket.bytes, offset, index++, Math.min(batch.size[i]!, socket.largestPacket)));
      }
    }
    for (const batch of held) socket.release(batch);
    const offsets = [...lengthAt.keys()].sort((a, b) => a - b);
    let step = socket.buffer.frameSize;
    for (let i = 1; i < offsets.length; i++) step = Math.min(step, offsets[i]! - offsets[i - 1]!);
    this.#first = offsets[0] ?? 0;
    this.#shift = 31 - Math.clz32(step);
    const span = (offsets.at(-1) ?? 0) - this.#first;
    this.#lengths = new Int32Array((span >> this.#shift) + 1);
    for (const [offset, length] of lengthAt) this.#lengths[(offset - this.#first) >> this.#shift] = length;
    const lengths = new Set(lengthAt.values());
    this.#uniform = lengths.size === 1 ? [...lengths][0]! : 0;
  }

  /** Sets the sizes of an allocated batch to those of the packets in its frames; returns their sum in bytes. */
  setSizes(batch: PacketBatch): number {
    const { offset, size, length } = batch;
    const uniform = this.#uniform;
    if (uniform > 0) {
      for (let i = 0; i < length; i++) size[i] = uniform;
      return uniform * length;
    }
    const lengths = this.#lengths;
    const first = this.#first;
    const shift = this.#shift;
    let bytes = 0;
    for (let i = 0; i < length; i++) {
      const packet = lengths[(offset[i]! - first) >> shift]!;
      size[i] = packet;
      bytes += packet;
    }
    return bytes;
  }
}
