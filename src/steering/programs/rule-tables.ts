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
import { type LookupKey, SCRATCH_WORDS } from './match-code.js';
import type { RankedRule } from './ranked-rules.js';

/** Rules that a mask must stand for to be worth a lookup: one costs as much as testing some eight rules one after the other. */
const RULES_PER_LOOKUP = 8;
/** Most tuples of a list that are put in tables, some 100 bytes of kernel memory each. Ranges of ports come to hundreds a rule. */
const MOST_TUPLES = 131072;

/** Contents of one hash map: keys of equal length, with 4 bytes of value each. */
export interface RuleTable {
  readonly keyBytes: number;
  /** The key's bytes as hexadecimal digits, and the value. */
  readonly entries: ReadonlyMap<string, number>;
}

/** One look into a table on the way of a packet. */
export interface TableLookup {
  readonly table: number;
  readonly key: LookupKey;
  /** The least value that it can find. */
  readonly least: number;
}

/**
 * The tuples of long lists of rules, for hash maps in which a program finds them at the same cost, however many there are. Tuples of
 * one mask are found by one lookup. All masks with as many words share a map, and are told apart by a number in front of the words:
 *
 *     number of the mask and its list | word | word | ...      4 bytes each, in the byte order of the host
 */
export class RuleTables {
  readonly #tables = new Map<number, { keyBytes: number; entries: Map<string, number> }>();
  #lookups = 0;

  /** In the order of the numbers that lookups name. */
  get tables(): readonly RuleTable[] {
    return [...this.#tables.values()];
  }

  /**
   * Takes over those rules of a list that are worth it.
   *
   * @returns lookups for these rules, those with the least values first, and the rules that are left
   */
  take(rules: readonly RankedRule[]): { lookups: TableLookup[]; left: readonly RankedRule[] } {
    const compiled: { readonly entry: RankedRule; readonly tuples: readonly FlowTuple[] }[] = [];
    let count = 0;
    for (const entry of rules) {
      const tuples = compileParsedRule(entry.rule);
      count += tuples.length;
      if (count > MOST_TUPLES) return { lookups: [], left: rules };
      compiled.push({ entry, tuples });
    }
    const uses = new Map<string, number>();
    for (const { tuples } of compiled) {
      for (const { mask } of tuples) uses.set(String(mask), (uses.get(String(mask)) ?? 0) + 1);
    }
    const common = ({ mask }: FlowTuple): boolean => uses.get(String(mask))! >= RULES_PER_LOOKUP;
    const taken = compiled.filter(({ tuples }) => tuples.every(common));
    const masks = new Set(taken.flatMap(({ tuples }) => tuples.map(({ mask }) => String(mask))));
    if (taken.length < RULES_PER_LOOKUP * masks.size) return { lookups: [], left: rules };
    const lookups = new Map<string, { table: number; key: LookupKey; least: number }>();
    for (const { entry, tuples } of taken) {
      for (const { mask, value } of tuples) {
        const name = String(mask);
        let lookup = lookups.get(name);
        if (lookup === undefined) {
          lookup = this.#newLookup(mask);
          lookups.set(name, lookup);
        }
        lookup.least = Math.min(lookup.least, entry.value);
        this.#enter(lookup.key, value, entry.value);
      }
    }
    const left = compiled.filter(({ tuples }) => !tuples.every(common)).map(({ entry }) => entry);
    return { lookups: [...lookups.values()].sort((a, b) => a.least - b.least), left };
  }

  #newLookup(mask: FlowKey): { table: number; key: LookupKey; least: number } {
    const masks = scratchWords(mask, true);
    const words = masks.flatMap((bits, word) => (bits === 0 ? [] : [{ word, mask: bits }]));
    if (!this.#tables.has(words.length)) {
      this.#tables.set(words.length, { keyBytes: 4 * (1 + words.length), entries: new Map() });
    }
    const table = [...this.#tables.keys()].indexOf(words.length);
    return { table, key: { number: this.#lookups++, words }, least: Number.POSITIVE_INFINITY };
  }

  #enter({ number, words }: LookupKey, tuple: FlowKey, value: number): void {
    const scratch = scratchWords(tuple, false);
    const key = Int32Array.of(number, ...words.map(({ word, mask }) => scratch[word]! & mask));
    const { entries } = this.#tables.get(words.length)!;
    const name = hex(new Uint8Array(key.buffer));
    entries.set(name, Math.min(value, entries.get(name) ?? value));
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

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
