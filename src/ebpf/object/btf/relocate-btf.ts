import { ByteView } from '../byte-view.js';
import { corrupt } from '../damage.js';
import { R_BPF_64_32, R_BPF_64_ABS32, R_BPF_64_NODYLD32 } from '../elf/constants.js';
import type { ElfObject, Section } from '../elf/elf-object.js';

/** R_BPF_64_32 in what clang made before version 13. */
const WORD_TYPES = new Set([R_BPF_64_NODYLD32, R_BPF_64_ABS32, R_BPF_64_32]);

/**
 * The `.BTF` section with its relocations done: compilers leave to them where variables are in their section.
 *
 * @throws PacketError PROGRAM_CORRUPT
 */
export function relocateBtf(object: ElfObject, section: Section): Uint8Array {
  const bytes = section.contents.bytes.slice();
  const words = new DataView(bytes.buffer);
  const view = new ByteView(bytes, section.name);
  for (const { offset, type, symbol } of object.relocationsOf(section)) {
    if (!WORD_TYPES.has(type)) throw corrupt(section.name, `relocations of type ${type} are not for types`);
    words.setUint32(offset, view.u32(offset) + symbol.value, true);
  }
  return bytes;
}
