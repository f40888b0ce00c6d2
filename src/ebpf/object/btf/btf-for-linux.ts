import type { ElfObject } from '../elf/elf-object.js';
import type { Btf } from './btf.js';
import { btfParts, typePlaces } from './btf-layout.js';
import { BTF_KIND_STRUCT, BTF_TYPE_BYTES, BTF_VARIABLE_BYTES } from './constants.js';
import type { BtfType, DataSection, FunctionType } from './types.js';

const KERNEL_SYMBOLS = '.ksyms';
const INT_BYTES = 4;
/** Linkages, the lower half of a function's `info`. */
const STATIC = 0;
const GLOBAL = 1;
const INFO_UPPER = 0xffff0000;

/**
 * BTF as the kernel takes it (btf_check_all_metas in kernel/bpf/btf.c), from a `.BTF` section whose relocations are done. Numbers of types and
 * lengths stay. The compiler leaves out how large sections are, and order; the kernel wants both. To it nothing is external:
 * functions of its own that the object declares become global ones with named parameters, and the section of such declarations, which names
 * no section of the file, becomes a structure of as many whole numbers. Hidden functions are static: it verifies them where they are called.
 */
export function btfForLinux(object: ElfObject, relocated: Uint8Array, btf: Btf): Uint8Array {
  const bytes = relocated.slice();
  const { types: view } = btfParts(bytes);
  const words = new DataView(view.bytes.buffer, view.bytes.byteOffset, view.length);
  const places = typePlaces(view);
  const sizes = new Map(object.sections.map(({ name, size }) => [name, size]));
  const hidden = new Set(
    object.symbols.filter(({ kind, isHidden }) => kind === 'function' && isHidden).map(({ name }) => name),
  );
  for (const type of btf.types) {
    const at = places[type.id]!;
    if (type.kind === 'func') {
      if (type.linkage === 'extern') declareFunction(words, places, btf, type);
      else if (type.linkage === 'global' && hidden.has(type.name)) setLinkage(words, at, STATIC);
    } else if (type.kind === 'datasec') {
      if (type.name === KERNEL_SYMBOLS) replaceDeclarations(words, at, btf, type);
      else fixSection(words, at, type, sizes.get(type.name) ?? type.size);
    }
  }
  return bytes;
}

function setLinkage(words: DataView, at: number, linkage: number): void {
  words.setUint32(at + 4, (words.getUint32(at + 4, true) & INFO_UPPER) | linkage, true);
}

function declareFunction(words: DataView, places: readonly number[], btf: Btf, declared: FunctionType): void {
  const at = places[declared.id]!;
  setLinkage(words, at, GLOBAL);
  const prototype = btf.type(declared.type);
  if (prototype.kind !== 'func_proto') return;
  const parameters = places[prototype.id]! + BTF_TYPE_BYTES;
  for (const [index, { name, type }] of prototype.parameters.entries()) {
    // Any name will do; the function's is one.
    if (name === '' && type !== 0) words.setUint32(parameters + index * 8, words.getUint32(at, true), true);
  }
}

function replaceDeclarations(words: DataView, at: number, btf: Btf, { variables }: DataSection): void {
  const number = btf.types.find((type: BtfType) => type.kind === 'int' && type.size === INT_BYTES && type.bits === 32);
  if (number === undefined) return;
  words.setUint32(at, 0, true);
  words.setUint32(at + 4, ((BTF_KIND_STRUCT << 24) | variables.length) >>> 0, true);
  words.setUint32(at + 8, variables.length * INT_BYTES, true);
  for (const index of variables.keys()) {
    const member = at + BTF_TYPE_BYTES + index * BTF_VARIABLE_BYTES;
    words.setUint32(member, 0, true);
    words.setUint32(member + 4, number.id, true);
    words.setUint32(member + 8, index * INT_BYTES * 8, true);
  }
}

function fixSection(words: DataView, at: number, { variables }: DataSection, size: number): void {
  words.setUint32(at + 8, size, true);
  for (const [index, variable] of variables.toSorted((a, b) => a.offset - b.offset).entries()) {
    const place = at + BTF_TYPE_BYTES + index * BTF_VARIABLE_BYTES;
    words.setUint32(place, variable.type, true);
    words.setUint32(place + 4, variable.offset, true);
    words.setUint32(place + 8, variable.size, true);
  }
}
