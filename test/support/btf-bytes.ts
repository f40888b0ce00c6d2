import { BTF_HEADER_BYTES, BTF_MAGIC, BTF_VERSION } from '../../src/ebpf/object/btf/constants.js';

/** A type as BTF has it: three words, of which `info` is kind, flag and count, and what follows them. */
export interface RawType {
  readonly name?: string;
  readonly kind: number;
  readonly count?: number;
  readonly flag?: boolean;
  /** Size, or number of a type. */
  readonly word?: number;
  /** Words behind it; texts are offsets of strings. */
  readonly rest?: readonly (number | string)[];
}

/** Writes BTF of any types, however wrong. */
export function btfBytes(types: readonly RawType[]): Uint8Array {
  const strings = ['\0'];
  const offsets = new Map<string, number>();
  let length = 1;
  const offsetOf = (text: string) => {
    if (text === '') return 0;
    const known = offsets.get(text);
    if (known !== undefined) return known;
    const offset = length;
    offsets.set(text, offset);
    const bytes = `${text}\0`;
    strings.push(bytes);
    length += bytes.length;
    return offset;
  };
  const words = types.flatMap(({ name = '', kind, count = 0, flag = false, word = 0, rest = [] }) => [
    offsetOf(name),
    ((flag ? 0x80000000 : 0) | (kind << 24) | count) >>> 0,
    word,
    ...rest.map((value) => (typeof value === 'string' ? offsetOf(value) : value)),
  ]);
  const bytes = new Uint8Array(BTF_HEADER_BYTES + words.length * 4 + length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, BTF_MAGIC, true);
  view.setUint8(2, BTF_VERSION);
  view.setUint32(4, BTF_HEADER_BYTES, true);
  view.setUint32(12, words.length * 4, true);
  view.setUint32(16, words.length * 4, true);
  view.setUint32(20, length, true);
  for (const [index, word] of words.entries()) view.setUint32(BTF_HEADER_BYTES + index * 4, word, true);
  bytes.set(new TextEncoder().encode(strings.join('')), BTF_HEADER_BYTES + words.length * 4);
  return bytes;
}
