import { PacketError } from '../../errors.js';

// Types of programs and kernels (BTF): linux/btf.h, docs.kernel.org/bpf/btf.html. Little-endian.

export const BTF_MAGIC = 0xeb9f;
/** Bytes of the header that this code knows; its own length field says where the types begin. */
export const BTF_HEADER_BYTES = 24;
/** Bytes of a type without what follows it. */
export const BTF_TYPE_BYTES = 12;

export const BTF_KIND_INT = 1;
export const BTF_KIND_PTR = 2;
export const BTF_KIND_ARRAY = 3;
export const BTF_KIND_STRUCT = 4;
export const BTF_KIND_UNION = 5;
export const BTF_KIND_ENUM = 6;
export const BTF_KIND_FWD = 7;
export const BTF_KIND_TYPEDEF = 8;
export const BTF_KIND_VOLATILE = 9;
export const BTF_KIND_CONST = 10;
export const BTF_KIND_RESTRICT = 11;
export const BTF_KIND_FUNC = 12;
export const BTF_KIND_FUNC_PROTO = 13;
export const BTF_KIND_VAR = 14;
export const BTF_KIND_DATASEC = 15;
export const BTF_KIND_FLOAT = 16;
export const BTF_KIND_DECL_TAG = 17;
export const BTF_KIND_TYPE_TAG = 18;
export const BTF_KIND_ENUM64 = 19;

/** Bytes behind a type, for all of it and for each of its members, by kind. */
const TAILS: readonly (readonly [fixed: number, each: number] | undefined)[] = [
  ...[undefined, [4, 0], [0, 0], [12, 0], [0, 12], [0, 12], [0, 8], [0, 0], [0, 0], [0, 0]],
  ...[
    [0, 0],
    [0, 0],
    [0, 0],
    [0, 8],
    [4, 0],
    [0, 12],
    [0, 0],
    [4, 0],
    [0, 0],
    [0, 12],
  ],
] as const satisfies readonly (readonly [number, number] | undefined)[];

/** One type, where it lies. */
export interface BtfType {
  /** Its number, from 1; 0 is void. */
  readonly number: number;
  /** One of BTF_KIND_…. */
  readonly kind: number;
  /** Members, values, parameters; of a function its linkage. */
  readonly members: number;
  /** Byte offset of its three words; what follows it begins {@link BTF_TYPE_BYTES} later. */
  readonly at: number;
  /** Bytes with what follows. */
  readonly bytes: number;
}

/** A BTF section. Whatever the bytes are, reading stays within them. */
export class Btf {
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  readonly #types: number;
  readonly #typesEnd: number;
  readonly #strings: number;
  readonly #stringsEnd: number;

  /** @throws PacketError PROGRAM_CORRUPT */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (bytes.length < BTF_HEADER_BYTES || this.view.getUint16(0, true) !== BTF_MAGIC) throw damaged('its header');
    const [header, types, typesBytes, strings, stringsBytes] = [4, 8, 12, 16, 20].map((at) =>
      this.view.getUint32(at, true),
    ) as [number, number, number, number, number];
    this.#types = header + types;
    this.#typesEnd = this.#types + typesBytes;
    this.#strings = header + strings;
    this.#stringsEnd = this.#strings + stringsBytes;
    if (this.#typesEnd > bytes.length || this.#stringsEnd > bytes.length) throw damaged('the sizes of its parts');
  }

  /** All types, in the order of their numbers. @throws PacketError PROGRAM_CORRUPT */
  *types(): Generator<BtfType> {
    let number = 1;
    for (let at = this.#types; at < this.#typesEnd; number++) {
      if (at + BTF_TYPE_BYTES > this.#typesEnd) throw damaged(`type ${number}`);
      const information = this.view.getUint32(at + 4, true);
      const kind = (information >>> 24) & 0x1f;
      const members = information & 0xffff;
      const tail = TAILS[kind];
      if (tail === undefined) throw damaged(`type ${number}, of kind ${kind}`);
      const bytes = BTF_TYPE_BYTES + tail[0] + tail[1] * members;
      if (at + bytes > this.#typesEnd) throw damaged(`type ${number}`);
      yield { number, kind, members, at, bytes };
      at += bytes;
    }
  }

  /** Name of a type; "" where it has none. */
  name({ at }: BtfType): string {
    return this.text(this.view.getUint32(at, true));
  }

  /** A text by its offset; "" for one that is none. */
  text(offset: number): string {
    const from = this.#strings + offset;
    if (from >= this.#stringsEnd) return '';
    const end = this.#bytes.subarray(from, this.#stringsEnd).indexOf(0);
    return new TextDecoder().decode(this.#bytes.subarray(from, end < 0 ? this.#stringsEnd : from + end));
  }
}

function damaged(what: string): PacketError {
  return new PacketError('PROGRAM_CORRUPT', `the types of the program (BTF) are damaged: ${what}`, {
    remedy: 'compile it anew, or leave the types out',
  });
}
