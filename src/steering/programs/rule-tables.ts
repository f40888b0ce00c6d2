import {
  FLOW_BUCKET,
  FLOW_DESTINATION,
  FLOW_HAS_PORTS,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_SOURCE,
  type FlowKey,
} from '../../packet/flow-key.js';
import { compileParsedRule, type FlowTuple } from '../compile-rules.js';
import { CuckooBuilder } from './cuckoo-table.js';
import {
  BUCKET_WORD,
  DESTINATION_PORT_WORD,
  DESTINATION_WORD,
  ETHERTYPE_WORD,
  NETWORK_WORD,
  PORT_KNOWN,
  SOURCE_PORT_WORD,
  SOURCE_WORD,
  VLAN_WORD,
} from './header-code.js';
import { type LookupTable, SCRATCH_WORDS } from './match-code.js';
import type { RankedRule } from './ranked-rules.js';

/** Rules that a mask must stand for to be worth a lookup: one costs as much as testing some eight rules one after the other. */
const RULES_PER_LOOKUP = 8;
/** Most tuples of a list that are put in tables. Ranges of ports come to hundreds a rule. */
const MOST_TUPLES = 65536;
/** Most bytes of all tables: what Linux allows a value of a map (KMALLOC_MAX_SIZE). */
const MOST_BYTES = 2 ** 22;

/** One look into a table on the way of a packet. */
export interface TableLookup {
  readonly table: LookupTable;
  /** The least value that it can find. */
  readonly least: number;
}

/**
 * The tuples of long lists of rules, in tables that a program looks into at the same cost, however many there are. Tuples of one mask are
 * one table; all tables lie one behind the other in one piece of memory.
 */
export class RuleTables {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  /** All tables; of no bytes when there are none. */
  get contents(): Uint8Array {
    const bytes = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /**
   * Takes over those rules of a list that are worth it.
   *
   * @returns lookups for these rules, those with the least values first, and the rules that are left
   */
  take(rules: readonly RankedRule[]): { lookups: TableLookup[]; left: readonly RankedRule[] } {
    const nothing = { lookups: [], left: rules };
    const compiled: { readonly entry: RankedRule; readonly tuples: readonly FlowTuple[] }[] = [];
    let count = 0;
    for (const entry of rules) {
      const tuples = compileParsedRule(entry.rule);
      count += tuples.length;
      if (count > MOST_TUPLES) return nothing;
      compiled.push({ entry, tuples });
    }
    const uses = new Map<string, number>();
    for (const { tuples } of compiled) {
      for (const { mask } of tuples) uses.set(String(mask), (uses.get(String(mask)) ?? 0) + 1);
    }
    const common = ({ mask }: FlowTuple): boolean => uses.get(String(mask))! >= RULES_PER_LOOKUP;
    const taken = compiled.filter(({ tuples }) => tuples.every(common));
    const kinds = new Map<string, TupleKind>();
    for (const { entry, tuples } of taken) {
      for (const { mask, value } of tuples) {
        const name = String(mask);
        const kind = kinds.get(name) ?? new TupleKind(mask);
        kinds.set(name, kind);
        kind.enter(value, entry.value);
      }
    }
    if (kinds.size === 0 || taken.length < RULES_PER_LOOKUP * kinds.size) return nothing;
    const lookups: TableLookup[] = [];
    const parts: Uint8Array[] = [];
    let bytes = this.#bytes;
    for (const kind of kinds.values()) {
      const { table, contents } = kind.build(bytes);
      lookups.push({ table, least: kind.least });
      parts.push(contents);
      bytes += contents.length;
    }
    if (bytes > MOST_BYTES) return nothing;
    this.#parts.push(...parts);
    this.#bytes = bytes;
    const left = compiled.filter(({ tuples }) => !tuples.every(common)).map(({ entry }) => entry);
    return { lookups: lookups.sort((a, b) => a.least - b.least), left };
  }
}

/** Tuples of one mask. */
class TupleKind {
  least = Number.POSITIVE_INFINITY;
  readonly #words: readonly { readonly word: number; readonly mask: number }[];
  readonly #table: CuckooBuilder;

  constructor(mask: FlowKey) {
    this.#words = scratchWords(mask, true).flatMap((bits, word) => (bits === 0 ? [] : [{ word, mask: bits }]));
    this.#table = new CuckooBuilder(this.#words.length);
  }

  enter(tuple: FlowKey, value: number): void {
    const scratch = scratchWords(tuple, false);
    this.#table.enter(
      Int32Array.from(this.#words, ({ word, mask }) => scratch[word]! & mask),
      value,
    );
    this.least = Math.min(this.least, value);
  }

  build(offset: number): { table: LookupTable; contents: Uint8Array } {
    const { bytes, bits, factors } = this.#table.build(offset);
    const words = this.#words.map((word, i) => ({ ...word, factor: factors[i]! }));
    return { table: { offset, bits, words }, contents: bytes };
  }
}

/** A flow key, or a mask of one, as programs have it in scratch memory. */
function scratchWords(key: FlowKey, isMask: boolean): number[] {
  const words = new Array<number>(SCRATCH_WORDS).fill(0);
  words[ETHERTYPE_WORD] = key[FLOW_LINK]! & 0xffff;
  words[VLAN_WORD] = (key[FLOW_LINK]! >>> 16) & 0x1fff;
  words[NETWORK_WORD] = key[FLOW_NETWORK]! & 0xfff;
  words[SOURCE_PORT_WORD] = key[FLOW_PORTS]! >>> 16;
  words[DESTINATION_PORT_WORD] = key[FLOW_PORTS]! & 0xffff;
  if ((key[FLOW_NETWORK]! & FLOW_HAS_PORTS) !== 0) {
    // Both ports are known or neither is: that a mask asks so of one word is enough.
    const both = !isMask || words[SOURCE_PORT_WORD] !== 0;
    if (both) words[SOURCE_PORT_WORD]! |= PORT_KNOWN;
    if (!isMask || !both) words[DESTINATION_PORT_WORD]! |= PORT_KNOWN;
  }
  for (let i = 0; i < 4; i++) {
    words[SOURCE_WORD + i] = key[FLOW_SOURCE + i]!;
    words[DESTINATION_WORD + i] = key[FLOW_DESTINATION + i]!;
  }
  words[BUCKET_WORD] = key[FLOW_BUCKET]!;
  return words;
}
