import type { PacketError } from '../../../errors.js';
import { ByteView } from '../byte-view.js';
import { corrupt, unsupported } from '../damage.js';
import {
  BTF_HEADER_BYTES,
  BTF_KIND_ARRAY,
  BTF_KIND_DATASEC,
  BTF_KIND_DECL_TAG,
  BTF_KIND_ENUM,
  BTF_KIND_ENUM64,
  BTF_KIND_FUNC_PROTO,
  BTF_KIND_INT,
  BTF_KIND_STRUCT,
  BTF_KIND_UNION,
  BTF_KIND_VAR,
  BTF_MAGIC,
  BTF_MAGIC_SWAPPED,
  BTF_TYPE_BYTES,
  BTF_VARIABLE_BYTES,
  BTF_VERSION,
} from './constants.js';

// Where things are in BTF, for those who read it and those who change it.

const LAST_KIND = BTF_KIND_ENUM64;

/** Checks the beginning of BTF or of its extension. @returns bytes of its header, from whose end offsets of parts count @throws PacketError PROGRAM_CORRUPT, PROGRAM_UNSUPPORTED */
export function btfHeaderBytes(section: ByteView): number {
  const magic = section.u16(0);
  if (magic === BTF_MAGIC_SWAPPED) {
    throw unsupported(section.name, 'it is big-endian', 'compile with clang -target bpfel');
  }
  if (magic !== BTF_MAGIC) throw corrupt(section.name, `it does not begin with 0x${BTF_MAGIC.toString(16)}`);
  if (section.u8(2) !== BTF_VERSION) throw corrupt(section.name, `there is no version ${section.u8(2)}`);
  const length = section.u32(4);
  if (length < BTF_HEADER_BYTES || length > section.length) {
    throw corrupt(section.name, `its header says it has ${length} bytes`);
  }
  return length;
}

/** The two parts of BTF: its types, one after the other, and their strings. Both are views of `bytes`. @throws PacketError PROGRAM_CORRUPT, PROGRAM_UNSUPPORTED */
export function btfParts(bytes: Uint8Array): { readonly types: ByteView; readonly strings: ByteView } {
  const section = new ByteView(bytes, 'BTF');
  const header = btfHeaderBytes(section);
  return {
    types: section.part(header + section.u32(8), section.u32(12), 'types of BTF'),
    strings: section.part(header + section.u32(16), section.u32(20), 'strings of BTF'),
  };
}

/** Byte offset of each type, by its number; `void`, the first one, is nowhere. @throws PacketError PROGRAM_CORRUPT */
export function typePlaces(types: ByteView): number[] {
  const places = [0];
  for (let at = 0; at < types.length; ) {
    const info = types.u32(at + 4);
    const kind = kindOf(info);
    if (kind === 0 || kind > LAST_KIND) throw unknownKind(types.name, places.length, kind);
    places.push(at);
    at += typeBytes(info);
  }
  return places;
}

/** Which kind of type, BTF_KIND_…, an `info` word is of. */
export function kindOf(info: number): number {
  return (info >>> 24) & 0x1f;
}

/** The error for kinds that do not exist. */
export function unknownKind(where: string, id: number, kind: number): PacketError {
  return corrupt(where, `type ${id} is of kind ${kind}, which does not exist`);
}

/** Bytes of a type with all that follows it, from its `info` word. */
function typeBytes(info: number): number {
  const count = info & 0xffff;
  switch (kindOf(info)) {
    case BTF_KIND_ARRAY:
      return BTF_TYPE_BYTES + 12;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_DATASEC:
    case BTF_KIND_ENUM64:
      return BTF_TYPE_BYTES + count * BTF_VARIABLE_BYTES;
    case BTF_KIND_ENUM:
    case BTF_KIND_FUNC_PROTO:
      return BTF_TYPE_BYTES + count * 8;
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
      return BTF_TYPE_BYTES + 4;
    default:
      return BTF_TYPE_BYTES;
  }
}
