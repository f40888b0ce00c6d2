import {
  BTF_HEADER_BYTES,
  BTF_KIND_ARRAY,
  BTF_KIND_CONST,
  BTF_KIND_DECL_TAG,
  BTF_KIND_FUNC,
  BTF_KIND_FUNC_PROTO,
  BTF_KIND_INT,
  BTF_KIND_PTR,
  BTF_KIND_RESTRICT,
  BTF_KIND_STRUCT,
  BTF_KIND_TYPE_TAG,
  BTF_KIND_TYPEDEF,
  BTF_KIND_UNION,
  BTF_KIND_VOLATILE,
  BTF_MAGIC,
  BTF_TYPE_BYTES,
  type Btf,
  type BtfType,
} from './btf.js';

/** Kinds whose third word is the number of a type, and not a size. */
const REFERENCES: ReadonlySet<number> = new Set([
  ...[BTF_KIND_PTR, BTF_KIND_TYPEDEF, BTF_KIND_VOLATILE, BTF_KIND_CONST, BTF_KIND_RESTRICT, BTF_KIND_TYPE_TAG],
  ...[BTF_KIND_FUNC, BTF_KIND_FUNC_PROTO, BTF_KIND_DECL_TAG],
]);
/** "int" of 32 bits, signed. */
const INT_ENCODING = (1 << 24) | 32;

/** A type to write: its words, as the section has them. */
type Words = number[];

/**
 * Puts together the types (BTF) that a program is described with: functions, what their types consist of, and the texts of source lines.
 * Sections and variables of an object are left out: only with what a linker knows would the kernel take them.
 */
export class BtfComposer {
  readonly #types: Words[] = [];
  readonly #strings: Uint8Array[];
  #stringBytes: number;
  readonly #offsets = new Map<string, number>();
  readonly #numbers = new Map<number, number>();
  readonly #source: Btf | undefined;
  readonly #sourceTypes: ReadonlyMap<number, BtfType>;
  #proto: number | undefined;

  /** @param source of which types are copied @throws PacketError PROGRAM_CORRUPT */
  constructor(source?: Btf) {
    this.#source = source;
    this.#sourceTypes = new Map(source === undefined ? [] : [...source.types()].map((type) => [type.number, type]));
    // Copied types keep the offsets of their names.
    const strings = source?.strings() ?? Uint8Array.of(0);
    this.#strings = [strings];
    this.#stringBytes = strings.length;
  }

  /** Offset of a text. */
  text(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const bytes = new TextEncoder().encode(`${text.replaceAll('\0', ' ')}\0`);
    const offset = this.#stringBytes;
    this.#strings.push(bytes);
    this.#stringBytes += bytes.length;
    this.#offsets.set(text, offset);
    return offset;
  }

  /** A function that is known by its name alone: static, with a result and without parameters. @returns its number */
  plainFunction(name: string): number {
    this.#proto ??= this.#add([
      ...[0, BTF_KIND_FUNC_PROTO << 24, this.#add([this.text('int'), BTF_KIND_INT << 24, 4, INT_ENCODING])],
    ]);
    return this.#add([this.text(name.replace(/\W/g, '_')), BTF_KIND_FUNC << 24, this.#proto]);
  }

  /** A function of the source, with all that its type consists of. @returns its number; undefined where the source has no such function */
  copyFunction(number: number): number | undefined {
    if (this.#sourceTypes.get(number)?.kind !== BTF_KIND_FUNC) return undefined;
    const copy = this.#copy(number);
    for (const tag of this.#sourceTypes.values()) {
      if (tag.kind === BTF_KIND_DECL_TAG && this.#word(tag, 2) === number) this.#copy(tag.number);
    }
    return copy;
  }

  /** The section. */
  bytes(): Uint8Array {
    const types = Uint32Array.from(this.#types.flat());
    const bytes = new Uint8Array(BTF_HEADER_BYTES + types.byteLength + this.#stringBytes);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, BTF_MAGIC, true);
    view.setUint8(2, 1);
    const header = [BTF_HEADER_BYTES, 0, types.byteLength, types.byteLength, this.#stringBytes];
    for (const [index, word] of header.entries()) view.setUint32(4 + 4 * index, word, true);
    for (const [index, word] of types.entries()) view.setUint32(BTF_HEADER_BYTES + 4 * index, word, true);
    let at = BTF_HEADER_BYTES + types.byteLength;
    for (const part of this.#strings) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  #add(words: Words): number {
    this.#types.push(words);
    return this.#types.length;
  }

  /** Copies a type and those that it names, which may be each other in a ring. */
  #copy(number: number): number {
    const pending: { readonly type: BtfType; readonly words: Words }[] = [];
    const numberOf = (wanted: number): number => {
      const known = this.#numbers.get(wanted);
      const type = this.#sourceTypes.get(wanted);
      if (known !== undefined || type === undefined) return known ?? 0; // void, or a number that is none
      const words = Array.from({ length: type.bytes / 4 }, (_, index) => this.#word(type, index));
      const copy = this.#add(words);
      this.#numbers.set(wanted, copy);
      pending.push({ type, words });
      return copy;
    };
    const copy = numberOf(number);
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const index of referencesIn(next.type)) next.words[index] = numberOf(next.words[index]!);
    }
    return copy;
  }

  #word({ at }: BtfType, index: number): number {
    return this.#source!.view.getUint32(at + 4 * index, true);
  }
}

/** Which words of a type are numbers of types. */
function referencesIn({ kind, members }: BtfType): number[] {
  const first = BTF_TYPE_BYTES / 4;
  const references = REFERENCES.has(kind) ? [2] : [];
  if (kind === BTF_KIND_ARRAY) references.push(first, first + 1);
  if (kind === BTF_KIND_STRUCT || kind === BTF_KIND_UNION) {
    for (let i = 0; i < members; i++) references.push(first + 3 * i + 1);
  }
  if (kind === BTF_KIND_FUNC_PROTO) for (let i = 0; i < members; i++) references.push(first + 2 * i + 1);
  return references;
}
