import { corrupt } from '../damage.js';
import type { ElfSymbol, Section } from '../elf/elf-object.js';
import { mapTypeOf } from './map-type.js';
import type { ObjectMap } from './object-map.js';

/** type, key_size, value_size, max_entries, map_flags: words of 32 bits. */
const DEFINITION_BYTES = 20;

/**
 * Maps as structures in the section `maps`, from before BTF (struct bpf_map_def of libbpf 0.x). What follows the five words that all
 * loaders know must be 0.
 *
 * @throws PacketError PROGRAM_CORRUPT, PROGRAM_UNSUPPORTED
 */
export function readLegacyMaps(section: Section, symbols: readonly ElfSymbol[]): ObjectMap[] {
  const own = symbols.filter((symbol) => symbol.section === section && symbol.kind === 'other' && symbol.name !== '');
  if (own.length === 0) return [];
  const size = section.contents.length / own.length;
  return own.map(({ name, value }) => {
    const where = `map ${name}`;
    if (!Number.isInteger(size) || size < DEFINITION_BYTES || value % size !== 0) {
      throw corrupt(where, `section ${section.name} has ${section.contents.length} bytes for ${own.length} maps`);
    }
    const words = section.contents.part(value, size, where);
    if (words.bytes.subarray(DEFINITION_BYTES).some((byte) => byte !== 0)) {
      throw corrupt(where, `its definition says more than its first ${DEFINITION_BYTES} bytes can`);
    }
    const definition = {
      name,
      type: mapTypeOf(where, words.u32(0)),
      keySize: words.u32(4),
      valueSize: words.u32(8),
      maxEntries: words.u32(12),
      flags: words.u32(16),
    };
    return { definition, section, offset: value, size, isData: false };
  });
}
