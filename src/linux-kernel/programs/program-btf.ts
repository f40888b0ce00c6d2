import { btfParts } from '../../ebpf/object/btf/btf-layout.js';
import {
  BTF_HEADER_BYTES,
  BTF_INT_SIGNED,
  BTF_KIND_FUNC,
  BTF_KIND_FUNC_PROTO,
  BTF_KIND_INT,
  BTF_MAGIC,
  BTF_VERSION,
} from '../../ebpf/object/btf/constants.js';
import { readBtf } from '../../ebpf/object/btf/read-btf.js';

/** What Linux takes a function that is known by its name alone for: `int name(void)`. */
const RESULT = { name: 'int', bytes: 4, encoding: (BTF_INT_SIGNED << 24) | 32 };
/** Strings of BTF begin with an empty one. */
const NO_STRINGS = Uint8Array.of(0);

/** The types (BTF) that a program is described with: those of its object, and behind them functions without a type and texts of lines. */
export class ProgramBtf {
  readonly #types: Uint8Array;
  readonly #strings: Uint8Array;
  readonly #functions: ReadonlySet<number>;
  readonly #words: number[] = [];
  readonly #texts: Uint8Array[] = [];
  readonly #offsets = new Map<string, number>();
  #last: number;
  #stringBytes: number;
  #prototype: number | undefined;

  /** @param object its types, as the kernel takes them @throws PacketError PROGRAM_CORRUPT, PROGRAM_UNSUPPORTED */
  constructor(object?: Uint8Array) {
    const known = object === undefined ? [] : readBtf(object).types;
    const parts = object === undefined ? undefined : btfParts(object);
    this.#types = parts?.types.bytes ?? new Uint8Array(0);
    this.#strings = parts?.strings.bytes ?? NO_STRINGS;
    this.#functions = new Set(known.filter(({ kind }) => kind === 'func').map(({ id }) => id));
    this.#last = Math.max(0, known.length - 1);
    this.#stringBytes = this.#strings.length;
  }

  /** Whether a number is a function's among the object's types. */
  isFunction(number: number): boolean {
    return this.#functions.has(number);
  }

  /** Offset of a text. */
  text(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const bytes = new TextEncoder().encode(`${text.replaceAll('\0', ' ')}\0`);
    const offset = this.#stringBytes;
    this.#texts.push(bytes);
    this.#stringBytes += bytes.length;
    this.#offsets.set(text, offset);
    return offset;
  }

  /** A function that is known by its name alone: static, with a result and without parameters. @returns its number */
  plainFunction(name: string): number {
    if (this.#prototype === undefined) {
      const result = this.#add(this.text(RESULT.name), BTF_KIND_INT, RESULT.bytes, RESULT.encoding);
      this.#prototype = this.#add(0, BTF_KIND_FUNC_PROTO, result);
    }
    return this.#add(this.text(name.replace(/\W/g, '_')), BTF_KIND_FUNC, this.#prototype);
  }

  /** All of it, as BTF. */
  bytes(): Uint8Array {
    const added = new Uint8Array(Uint32Array.from(this.#words).buffer);
    const typeBytes = this.#types.length + added.length;
    const header = new Uint8Array(BTF_HEADER_BYTES);
    const view = new DataView(header.buffer);
    view.setUint16(0, BTF_MAGIC, true);
    view.setUint8(2, BTF_VERSION);
    for (const [index, word] of [BTF_HEADER_BYTES, 0, typeBytes, typeBytes, this.#stringBytes].entries()) {
      view.setUint32(4 + 4 * index, word, true);
    }
    const parts = [header, this.#types, added, this.#strings, ...this.#texts];
    const bytes = new Uint8Array(BTF_HEADER_BYTES + typeBytes + this.#stringBytes);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  #add(name: number, kind: number, ...words: readonly number[]): number {
    this.#words.push(name, kind << 24, ...words);
    return ++this.#last;
  }
}
