import { didYouMean } from '../../suggestion.js';
import { MAP_TYPES, type MapDefinition, type MapType } from '../maps/contract.js';
import { type LineReader, quoteName } from './line-reader.js';

/** Bytes of initial values that the maps of a file have together at most: a line of text can ask for many. */
const INITIAL_BYTES_LIMIT = 64 * 1024 * 1024;

const BYTES_A_LINE = 32;

const EXAMPLE = 'for example: .map counts array key 4 value 8 entries 256';

const SIZE_WORDS = { key: 'keySize', value: 'valueSize', entries: 'maxEntries', flags: 'flags' } as const;

/** A definition while its lines are read. */
type Draft = { -readonly [Field in keyof MapDefinition]: MapDefinition[Field] } & {
  initialEntries?: { readonly index: number; readonly name: string }[];
};

/** Bytes of an initial value, as many parts as it has lines. */
interface InitialValue {
  readonly parts: Uint8Array[];
  length: number;
}

/** Maps of a file, in the order of their lines. */
export class MapDeclarations {
  readonly #maps = new Map<string, Draft>();
  readonly #values = new Map<Draft, InitialValue>();
  readonly #templates = new Map<string, Draft>();
  #last: Draft | undefined;
  #initialBytes = 0;

  /** The definitions, complete: to be called once, after the last line. */
  finish(): readonly MapDefinition[] {
    for (const [map, value] of this.#values) map.initialValue = join(value);
    return [...this.#maps.values()];
  }

  /** `.map NAME TYPE key 4 value 8 entries 256`, behind it `flags 0x1`, `frozen`, `pinned`, `inner TEMPLATE` as needed. */
  map(reader: LineReader): void {
    const name = reader.peek();
    const map = this.#read(reader);
    if (this.#maps.has(map.name)) {
      reader.fail(`there is a map ${map.name} already`, 'give each map a name of its own', name);
    }
    this.#maps.set(map.name, map);
  }

  /** `.template NAME TYPE …`: what the maps in a map of maps are like. */
  template(reader: LineReader): void {
    const template = this.#read(reader);
    if (template.inner !== undefined) {
      reader.fail('maps in a map of maps hold no maps themselves', 'leave inner out of the template');
    }
    this.#templates.set(template.name, template);
  }

  /** `.value 01 00 00 00`: bytes of the first entry of the map above, from where the line before ended. */
  value(reader: LineReader): void {
    const bytes: number[] = [];
    const map = this.#lastMap(reader);
    while (reader.peek().kind !== 'end') {
      if (!/^[\da-f]{2}$/i.test(reader.peek().text))
        reader.expected('a byte of two hexadecimal digits', '.value 01 00 00 00');
      bytes.push(Number.parseInt(reader.take().text, 16));
    }
    this.#append(reader, map, bytes.length).set(bytes);
  }

  /** `.zeros 100`: so many more bytes of the first entry, all 0. */
  zeros(reader: LineReader): void {
    const map = this.#lastMap(reader);
    const count = Number(reader.number('a number of bytes', 0n, 0xffffffffn, '.zeros 100'));
    reader.end();
    this.#append(reader, map, count);
  }

  /** `.entry 3 NAME`: the program or map at an index of the map above. */
  entry(reader: LineReader): void {
    const map = this.#lastMap(reader);
    const index = Number(reader.number('an index', 0n, 0xffffffffn, '.entry 3 name'));
    const { text: name } = reader.name('the name of a program or map', '.entry 3 name');
    reader.end();
    map.initialEntries ??= [];
    map.initialEntries.push({ index, name });
  }

  #read(reader: LineReader): Draft {
    const name = reader.name('the name of a map', EXAMPLE).text;
    const { text } = reader.peek();
    if (!isMapType(text)) {
      const types = Object.keys(MAP_TYPES);
      reader.expected(`a type of map${didYouMean(text, types)}`, `one of ${types.join(', ')}`);
    }
    reader.take();
    const map: Draft = { name, type: text, keySize: 0, valueSize: 0, maxEntries: 0, flags: 0 };
    while (reader.peek().kind !== 'end') this.#readProperty(reader, map);
    this.#last = map;
    return map;
  }

  #readProperty(reader: LineReader, map: Draft): void {
    const { text } = reader.peek();
    if (reader.takes('frozen')) map.frozen = true;
    else if (reader.takes('pinned')) map.pinnedByName = true;
    else if (reader.takes('inner')) map.inner = this.#readInner(reader);
    else if (Object.hasOwn(SIZE_WORDS, text)) {
      reader.take();
      map[SIZE_WORDS[text as keyof typeof SIZE_WORDS]] = Number(reader.number(text, 0n, 0xffffffffn, EXAMPLE));
    } else reader.expected('key, value, entries, flags, frozen, pinned or inner', EXAMPLE);
  }

  #readInner(reader: LineReader): Draft {
    const token = reader.name('the name of a template', '.template inside array key 4 value 8 entries 1');
    const template = this.#templates.get(token.text);
    if (template !== undefined) return template;
    return reader.fail(
      `there is no template ${token.text}${didYouMean(token.text, [...this.#templates.keys()])}`,
      'declare it above: .template inside array key 4 value 8 entries 1',
      token,
    );
  }

  #lastMap(reader: LineReader): Draft {
    return this.#last ?? reader.fail('there is no map above', EXAMPLE);
  }

  /** Adds bytes to a map's value: all 0, to be filled by the caller. */
  #append(reader: LineReader, map: Draft, count: number): Uint8Array {
    const value = this.#values.get(map) ?? { parts: [], length: 0 };
    value.length += count;
    if (value.length > map.valueSize) {
      reader.fail(
        `${value.length} bytes are more than a value of map ${map.name} has`,
        `its values have ${map.valueSize}`,
      );
    }
    this.#initialBytes += count;
    if (this.#initialBytes > INITIAL_BYTES_LIMIT) {
      reader.fail('the initial values of all maps are too long', `they may have ${INITIAL_BYTES_LIMIT} bytes together`);
    }
    const part = new Uint8Array(count);
    value.parts.push(part);
    this.#values.set(map, value);
    return part;
  }
}

/** Lines of a map, as {@link MapDeclarations} reads them. @param name its own, or another one where that is taken */
export function writeMap(map: MapDefinition, name: string): string[] {
  const { initialValue = new Uint8Array(), initialEntries = [], inner } = map;
  const end = initialValue.findLastIndex((byte) => byte !== 0) + 1;
  const lines = inner === undefined ? [] : [`.template ${writeProperties(inner, inner.name)}`];
  lines.push(`.map ${writeProperties(map, name)}`);
  for (let at = 0; at < end; at += BYTES_A_LINE) {
    const bytes = Array.from(initialValue.subarray(at, Math.min(at + BYTES_A_LINE, end)), (byte) =>
      byte.toString(16).padStart(2, '0'),
    );
    lines.push(`.value ${bytes.join(' ')}`);
  }
  if (end < initialValue.length) lines.push(`.zeros ${initialValue.length - end}`);
  for (const { index, name } of initialEntries) lines.push(`.entry ${index} ${quoteName(name)}`);
  return lines;
}

function join({ parts, length }: InitialValue): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function writeProperties(map: MapDefinition, name: string): string {
  const { type, keySize, valueSize, maxEntries, flags, frozen, pinnedByName, inner } = map;
  const words = [quoteName(name), type, `key ${keySize} value ${valueSize} entries ${maxEntries}`];
  if (flags !== 0) words.push(`flags 0x${(flags >>> 0).toString(16)}`);
  if (frozen) words.push('frozen');
  if (pinnedByName) words.push('pinned');
  if (inner !== undefined) words.push(`inner ${quoteName(inner.name)}`);
  return words.join(' ');
}

function isMapType(text: string): text is MapType {
  return Object.hasOwn(MAP_TYPES, text);
}
