import type { MapContents } from '../../ebpf/maps/contract.js';
import { PacketError } from '../../errors.js';

/** A map and what is in it. */
export interface MapReport {
  readonly name: string;
  readonly type: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** Bytes in hexadecimal. Of arrays only entries that are not all 0. */
  readonly entries: readonly { readonly key: string; readonly value: string }[];
  /** Why they cannot be told. */
  readonly unlisted?: string;
}

/** Bytes of a value that a line shows. */
const MOST_BYTES = 64;

export function reportMap(map: MapContents): MapReport {
  const { name, type, keySize, valueSize, maxEntries } = map.definition;
  const entries: { key: string; value: string }[] = [];
  const facts = { name, type, keySize, valueSize, maxEntries, entries };
  const isArray = type === 'array' || type === 'percpu_array';
  try {
    for (const [key, value] of map.entries()) {
      if (!isArray || value.some((byte) => byte !== 0)) entries.push({ key: hex(key), value: hex(value) });
    }
  } catch (error) {
    if (!(error instanceof PacketError) || error.code !== 'MAP_UNSUPPORTED') throw error;
    return { ...facts, unlisted: error.message };
  }
  return facts;
}

/** A heading and a line for each entry. */
export function renderMap({ name, type, keySize, valueSize, maxEntries, entries, unlisted }: MapReport): string[] {
  const size = `key ${keySize}, value ${valueSize}, ${maxEntries} entries`;
  const isArray = type === 'array' || type === 'percpu_array';
  const state = unlisted ?? (entries.length > 0 ? undefined : isArray ? 'all 0' : 'empty');
  const heading = `map ${name}: ${type}, ${size}${state === undefined ? '' : `: ${state}`}`;
  const numbered = isArray || type === 'prog_array';
  const keys = entries.map(({ key }) => (numbered ? `[${number(key)}]` : spaced(key)));
  const width = Math.max(...keys.map((key) => key.length));
  return [
    heading,
    ...entries.map(({ value }, index) => {
      const shown = value.length > 2 * MOST_BYTES ? `${spaced(value.slice(0, 2 * MOST_BYTES))} ...` : spaced(value);
      const meant = [2, 4, 8, 16].includes(value.length) ? `  = ${number(value)}` : '';
      return `  ${keys[index]!.padEnd(width)}  ${shown}${meant}`;
    }),
  ];
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function spaced(digits: string): string {
  return digits.replace(/..(?=.)/g, '$& ');
}

/** The little-endian number of some bytes. */
function number(digits: string): bigint {
  return BigInt(`0x${digits.match(/../g)!.reverse().join('')}`);
}
