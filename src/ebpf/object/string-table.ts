import type { ByteView } from './byte-view.js';
import { corrupt } from './damage.js';

/** How often each byte of a table may be part of another string. Linkers let strings share their ends; hostile tables would fill memory. */
const MOST_SHARING = 16;
const NOT_ASCII = /[^\0-\x7f]/;

/** Strings that end in 0, named by their offset: `.strtab`, and the strings of BTF. They are UTF-8. */
export class StringTable {
  readonly #table: ByteView;
  readonly #text: string;
  readonly #strings = new Map<number, string>();
  #left: number;

  constructor(table: ByteView) {
    this.#table = table;
    // One character a byte, so that offsets of bytes are offsets of characters.
    this.#text = new TextDecoder('latin1').decode(table.bytes);
    this.#left = table.length * MOST_SHARING;
  }

  at(offset: number): string {
    const known = this.#strings.get(offset);
    if (known !== undefined) return known;
    const end = offset < this.#text.length ? this.#text.indexOf('\0', offset) : -1;
    if (end < 0) throw corrupt(this.#table.name, `there is no string at ${offset}`);
    this.#left -= end - offset;
    if (this.#left < 0) throw corrupt(this.#table.name, 'its strings lie within each other');
    const text = this.#text.slice(offset, end);
    const string = NOT_ASCII.test(text) ? new TextDecoder().decode(this.#table.bytes.subarray(offset, end)) : text;
    this.#strings.set(offset, string);
    return string;
  }
}
