import { PacketError } from '../../../errors.js';
import type { VariableValue } from '../contract.js';
import { missing } from '../damage.js';
import type { ElfObject, ElfSymbol, Section } from '../elf/elf-object.js';

/** Sizes of the variables that can be given as numbers. */
const NUMBER_BYTES = [1, 2, 4, 8];

/**
 * Writes values of variables into the contents of their sections.
 *
 * @param contents those of the sections of variables; where they have no bytes in the file, all 0, they get some
 * @throws PacketError INVALID_OPTION for variables that are not there, have another length, or have no room for the number
 */
export function setVariables(
  object: ElfObject,
  contents: Map<Section, Uint8Array>,
  variables: Readonly<Record<string, VariableValue>>,
): void {
  const wanted = Object.entries(variables);
  if (wanted.length === 0) return;
  const known = new Map<string, ElfSymbol>();
  for (const symbol of object.symbols) {
    if (symbol.kind === 'other' && symbol.section !== undefined && contents.has(symbol.section))
      known.set(symbol.name, symbol);
  }
  for (const [name, value] of wanted) {
    const symbol = known.get(name);
    if (symbol === undefined) throw missing('variable', name, [...known.keys()]);
    const bytes = typeof value === 'object' ? value : numberBytes(name, value, symbol.size);
    const section = symbol.section!;
    if (bytes.length !== symbol.size || symbol.value + symbol.size > section.size) {
      throw refused(name, `it has ${symbol.size} bytes, not ${bytes.length}`, `give ${symbol.size} bytes`);
    }
    const present = contents.get(section)!;
    const whole = present.length === section.size ? present : new Uint8Array(section.size);
    whole.set(bytes, symbol.value);
    contents.set(section, whole);
  }
}

function numberBytes(name: string, value: number | bigint, size: number): Uint8Array {
  if (!NUMBER_BYTES.includes(size)) throw refused(name, `it is no number, but has ${size} bytes`, 'give its bytes');
  const bits = BigInt(8 * size);
  const [least, most] = [-(2n ** (bits - 1n)), 2n ** bits - 1n];
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (whole === undefined || whole < least || whole > most) {
    const range = `give a whole number from ${least} to ${most}`;
    throw refused(name, `${value} does not go into its ${size} bytes`, `${range}, as bigint from 2^53 on`);
  }
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, whole), true);
  return bytes.slice(0, size);
}

function refused(name: string, why: string, remedy: string): PacketError {
  return new PacketError('INVALID_OPTION', `variables.${name}: ${why}`, { remedy });
}
