import { corrupt } from './damage.js';

/**
 * A stretch of the object file, little-endian, whose name errors say. Every read is checked against its end, whatever offset a damaged file
 * comes up with.
 */
export class ByteView {
  readonly #view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    readonly name: string,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(at: number): number {
    this.#check(at, 1);
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    this.#check(at, 2);
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    this.#check(at, 4);
    return this.#view.getUint32(at, true);
  }

  i32(at: number): number {
    return this.u32(at) | 0;
  }

  /** From 2^53 the nearest number: too large for any offset or size that is right. */
  u64(at: number): number {
    return this.u32(at) + this.u32(at + 4) * 2 ** 32;
  }

  /** The `length` bytes from `at`, which are shared. */
  part(at: number, length: number, name: string): ByteView {
    this.#check(at, length, name);
    return new ByteView(this.bytes.subarray(at, at + length), name);
  }

  #check(at: number, length: number, what = `${length} bytes`): void {
    if (at >= 0 && at + length <= this.length) return;
    throw corrupt(this.name, `${what} at ${at} would end at ${at + length}, and it has ${this.length} bytes`);
  }
}
