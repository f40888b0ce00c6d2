/**
 * A C structure under construction or as the kernel filled it in: fields by byte offset, little-endian (the only byte order
 * that system-calls.ts admits). The memory does not move, so that its address may stand in another structure, for as long as
 * the object is reachable.
 */
export class Struct {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** Structures whose addresses stand in this one. */
  readonly #targets: Struct[] = [];

  /** @param length bytes; all zero at first, as the kernel wants of fields it does not know */
  constructor(length: number) {
    // A buffer of its own: V8 keeps small typed arrays in its heap, where they move, until somebody asks for their buffer.
    const buffer = new ArrayBuffer(length);
    this.bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }

  /** A structure with a copy of these bytes. */
  static of(bytes: Uint8Array): Struct {
    const struct = new Struct(bytes.length);
    struct.bytes.set(bytes);
    return struct;
  }

  get length(): number {
    return this.bytes.length;
  }

  u16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, true);
    return this;
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  i32(offset: number, value: number): this {
    this.#view.setInt32(offset, value, true);
    return this;
  }

  /** @param value non-negative; a number is taken exactly up to 2^53 */
  u64(offset: number, value: number | bigint): this {
    this.#view.setBigUint64(offset, BigInt(value), true);
    return this;
  }

  /**
   * Writes the address of another structure, and keeps that one for as long as this one.
   * @param address where the other lies (SystemCalls.address)
   */
  pointer(offset: number, target: Struct, address: bigint): this {
    this.#targets.push(target);
    return this.u64(offset, address);
  }

  /** To be called after the system call that reads this structure: until then it and its targets are reachable. */
  keep(): number {
    return this.#targets.length;
  }

  /** Writes an ASCII string without a final zero; the zero is there when the field is longer. */
  text(offset: number, value: string): this {
    for (let i = 0; i < value.length; i++) this.#view.setUint8(offset + i, value.charCodeAt(i) & 0x7f);
    return this;
  }

  readU32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  readI32(offset: number): number {
    return this.#view.getInt32(offset, true);
  }

  /** A 64-bit field as a number: exact up to 2^53, which no count or offset used here reaches. */
  readU64(offset: number): number {
    return this.#view.getUint32(offset + 4, true) * 2 ** 32 + this.#view.getUint32(offset, true);
  }

  /** A zero-terminated string in a field of `length` bytes. */
  readText(offset: number, length: number): string {
    let text = '';
    for (let i = offset; i < offset + length && this.bytes[i] !== 0; i++) text += String.fromCharCode(this.bytes[i]!);
    return text;
  }
}
