import type { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import type { PacketBatch } from '../packet-batch.js';
import { asksForTimestamp, readTimestamp } from './transmit-metadata.js';

/**
 * Which frames of a socket are on their way with the question when they are sent. The metadata itself cannot tell afterwards: what lies
 * in front of a packet that asks for nothing may be anything. Two passes over each batch, for sockets that were opened with timestamps.
 */
export class TransmitTimestamps {
  readonly #buffer: PacketBuffer;
  readonly #shift: number;
  /** 1 for frames whose packet asks. */
  readonly #asked: Uint8Array;

  constructor(buffer: PacketBuffer) {
    this.#buffer = buffer;
    this.#shift = 31 - Math.clz32(buffer.frameSize);
    this.#asked = new Uint8Array(buffer.frames);
  }

  /** Before a batch is sent. */
  posting(batch: PacketBatch): void {
    for (let i = 0; i < batch.length; i++) {
      const at = batch.offset[i]!;
      if (this.#buffer.contains(at)) this.#asked[this.#frame(at)] = asksForTimestamp(this.#buffer, batch, i) ? 1 : 0;
    }
  }

  /** After it: what is left in the batch was not posted. */
  left(batch: PacketBatch): void {
    for (let i = 0; i < batch.length; i++) {
      const at = batch.offset[i]!;
      if (this.#buffer.contains(at)) this.#asked[this.#frame(at)] = 0;
    }
  }

  /** Fills in the times of packets that have come back; 0 for those that did not ask, or were not sent. */
  completed(batch: PacketBatch): void {
    for (let i = 0; i < batch.length; i++) {
      const at = batch.offset[i]!;
      batch.seconds[i] = 0;
      batch.nanoseconds[i] = 0;
      if (!this.#buffer.contains(at)) continue;
      const frame = this.#frame(at);
      if (this.#asked[frame] === 1 && batch.outcome[i]! <= 0) readTimestamp(this.#buffer, batch, i);
      this.#asked[frame] = 0;
    }
  }

  #frame(at: number): number {
    return (at - this.#buffer.base) >>> this.#shift;
  }
}
