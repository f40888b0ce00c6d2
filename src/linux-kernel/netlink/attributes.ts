import { NLA_HDRLEN, NLA_TYPE_MASK } from './constants.js';
import { damaged } from './damage.js';

/** One attribute to send: its type and its value. */
export type Attribute = readonly [type: number, value: Uint8Array];

/** Bytes up to the next attribute or message (NLA_ALIGN, NLMSG_ALIGN). */
export function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** A 32-bit value of an attribute. */
export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** A zero-terminated ASCII string of an attribute. */
export function zeroTerminated(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

/**
 * The attributes of a netlink message (struct nlattr), by type; where a type comes twice, the last one. A value that
 * is absent or has another length than asked for reads `undefined`: then the kernel does not tell.
 */
export class Attributes {
  readonly #values = new Map<number, Uint8Array>();

  /** @throws PacketError SYSTEM_CALL when a length leads out of `bytes` */
  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (at + NLA_HDRLEN <= bytes.length) {
      const length = view.getUint16(at, true);
      if (length < NLA_HDRLEN || at + length > bytes.length) {
        throw damaged(`an attribute of ${length} bytes, and ${bytes.length - at} are left`);
      }
      this.#values.set(view.getUint16(at + 2, true) & NLA_TYPE_MASK, bytes.subarray(at + NLA_HDRLEN, at + length));
      at += aligned(length);
    }
    // Fewer bytes than a header: padding, as the last attribute's alignment may leave it.
  }

  bytes(type: number): Uint8Array | undefined {
    return this.#values.get(type);
  }

  u8(type: number): number | undefined {
    const value = this.#values.get(type);
    return value?.length === 1 ? value[0] : undefined;
  }

  u16(type: number): number | undefined {
    return this.#view(type, 2)?.getUint16(0, true);
  }

  u32(type: number): number | undefined {
    return this.#view(type, 4)?.getUint32(0, true);
  }

  /** Sets of flags; exact up to 2^53. */
  u64(type: number): number | undefined {
    const value = this.#view(type, 8)?.getBigUint64(0, true);
    return value === undefined ? undefined : Number(value);
  }

  /** A string, without its final zero. */
  text(type: number): string | undefined {
    const value = this.#values.get(type);
    return value && new TextDecoder().decode(value).replace(/\0.*$/s, '');
  }

  /** @throws PacketError SYSTEM_CALL as the constructor */
  nested(type: number): Attributes | undefined {
    const value = this.#values.get(type);
    return value && new Attributes(value);
  }

  #view(type: number, length: number): DataView | undefined {
    const value = this.#values.get(type);
    return value?.length === length ? new DataView(value.buffer, value.byteOffset, length) : undefined;
  }
}
