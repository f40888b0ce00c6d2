import { PacketError } from '../errors.js';

/**
 * The part of a capture file that is at hand: all of it, or as much as has been pushed and not yet been read. Formats look at
 * `bytes` from `start` to `end` and step over what they have read.
 */
export class CaptureInput {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** No more bytes will come. */
  closed = false;
  /** Place of `start` in the file, for messages. */
  position = 0;
  /** Bytes still to be stepped over, beyond those at hand; as long as there are any, none are at hand. */
  #skip = 0;
  /** Whether `bytes` is memory of our own, in which chunks are joined. */
  #joining = false;

  /** Adds a chunk. Where nothing is left of those before it, the chunk itself is read in place: it must not change meanwhile. */
  push(chunk: Uint8Array): void {
    const left = this.end - this.start;
    if (left === 0) {
      const skipped = Math.min(this.#skip, chunk.length);
      this.#skip -= skipped;
      this.position += skipped;
      this.bytes = chunk;
      this.start = skipped;
      this.end = chunk.length;
      this.#joining = false;
      return;
    }
    if (!this.#joining || this.bytes.length - this.end < chunk.length) {
      const needed = left + chunk.length;
      // Room for as much again, so that a long block in many short chunks is not copied once for each.
      const joined = this.#joining && this.bytes.length >= needed ? this.bytes : new Uint8Array(2 * needed);
      joined.set(this.bytes.subarray(this.start, this.end));
      this.bytes = joined;
      this.start = 0;
      this.end = left;
      this.#joining = true;
    }
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** Whether `count` bytes are at hand. */
  has(count: number): boolean {
    return this.end - this.start >= count;
  }

  /** Steps over bytes, at hand or still to come. */
  skip(count: number): void {
    const now = Math.min(count, this.end - this.start);
    this.start += now;
    this.position += now;
    this.#skip += count - now;
  }

  /** Bytes that a `skip` is still waiting for. */
  get skipping(): number {
    return this.#skip;
  }

  /**
   * The error of a file that says something impossible or ends too early.
   *
   * @param what "pcap: record 3 claims 70000 bytes of data"
   * @param at where in the file; the position of `start` if left out
   */
  corrupt(what: string, at = this.position): PacketError {
    return new PacketError('CAPTURE_CORRUPT', `${what} (byte ${at} of the file)`, {
      remedy: 'packets before it were read; record or copy the file anew for the rest',
    });
  }
}
