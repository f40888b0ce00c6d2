import type { ByteView } from '../byte-view.js';
import { corrupt } from '../damage.js';
import { StringTable } from '../string-table.js';
import { Btf } from './btf.js';
import { btfParts, kindOf, typePlaces, unknownKind } from './btf-layout.js';
import {
  BTF_INT_BOOL,
  BTF_INT_CHAR,
  BTF_INT_SIGNED,
  BTF_KIND_ARRAY,
  BTF_KIND_CONST,
  BTF_KIND_DATASEC,
  BTF_KIND_DECL_TAG,
  BTF_KIND_ENUM,
  BTF_KIND_ENUM64,
  BTF_KIND_FLOAT,
  BTF_KIND_FUNC,
  BTF_KIND_FUNC_PROTO,
  BTF_KIND_FWD,
  BTF_KIND_INT,
  BTF_KIND_PTR,
  BTF_KIND_RESTRICT,
  BTF_KIND_STRUCT,
  BTF_KIND_TYPE_TAG,
  BTF_KIND_TYPEDEF,
  BTF_KIND_UNION,
  BTF_KIND_VAR,
  BTF_KIND_VOLATILE,
  BTF_TYPE_BYTES,
  BTF_VARIABLE_BYTES,
} from './constants.js';
import type { BtfType, Linkage, ReferenceType } from './types.js';

const VOID: BtfType = { kind: 'void', id: 0, name: '' };
const LINKAGES: readonly Linkage[] = ['static', 'global', 'extern'];
const REFERENCES: ReadonlyMap<number, ReferenceType['kind']> = new Map([
  [BTF_KIND_PTR, 'ptr'],
  [BTF_KIND_TYPEDEF, 'typedef'],
  [BTF_KIND_VOLATILE, 'volatile'],
  [BTF_KIND_CONST, 'const'],
  [BTF_KIND_RESTRICT, 'restrict'],
  [BTF_KIND_TYPE_TAG, 'type_tag'],
]);

/**
 * Reads a `.BTF` section, or the file /sys/kernel/btf/vmlinux: all types that stand on their own.
 *
 * @throws PacketError PROGRAM_CORRUPT; PROGRAM_UNSUPPORTED for big-endian BTF
 */
export function readBtf(bytes: Uint8Array): Btf {
  const { types, strings: table } = btfParts(bytes);
  const strings = new StringTable(table);
  const places = typePlaces(types);
  return new Btf([VOID, ...places.slice(1).map((at, index) => readType(types, at, index + 1, strings))], strings);
}

function readType(view: ByteView, at: number, id: number, strings: StringTable): BtfType {
  const name = strings.at(view.u32(at));
  const info = view.u32(at + 4);
  const count = info & 0xffff;
  const flag = info >>> 31 === 1;
  // The third word is a size or another type, which depends on the kind.
  const size = view.u32(at + 8);
  const type = size;
  const after = at + BTF_TYPE_BYTES;
  const each = <Item>(bytes: number, read: (at: number) => Item) =>
    Array.from({ length: count }, (_, index) => read(after + index * bytes));
  const kind = kindOf(info);
  const reference = REFERENCES.get(kind);
  if (reference !== undefined) return { kind: reference, id, name, type };
  switch (kind) {
    case BTF_KIND_INT: {
      const details = view.u32(after);
      const encoding = (details >>> 24) & 0x0f;
      return {
        kind: 'int',
        id,
        name,
        size,
        bits: details & 0xff,
        bitOffset: (details >>> 16) & 0xff,
        isSigned: (encoding & BTF_INT_SIGNED) !== 0,
        isCharacter: (encoding & BTF_INT_CHAR) !== 0,
        isBoolean: (encoding & BTF_INT_BOOL) !== 0,
      };
    }
    case BTF_KIND_FLOAT:
      return { kind: 'float', id, name, size };
    case BTF_KIND_ARRAY:
      return { kind: 'array', id, name, element: view.u32(after), length: view.u32(after + 8) };
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: {
      const members = each(12, (at) => {
        const place = view.u32(at + 8);
        return {
          name: strings.at(view.u32(at)),
          type: view.u32(at + 4),
          bitOffset: flag ? place & 0xffffff : place,
          bits: flag ? place >>> 24 : 0,
        };
      });
      return { kind: kind === BTF_KIND_STRUCT ? 'struct' : 'union', id, name, size, members };
    }
    case BTF_KIND_ENUM: {
      const values = each(8, (at) => ({
        name: strings.at(view.u32(at)),
        value: BigInt(flag ? view.i32(at + 4) : view.u32(at + 4)),
      }));
      return { kind: 'enum', id, name, size, isSigned: flag, values };
    }
    case BTF_KIND_ENUM64: {
      const values = each(12, (at) => {
        const value = BigInt(view.u32(at + 4)) | (BigInt(view.u32(at + 8)) << 32n);
        return { name: strings.at(view.u32(at)), value: flag ? BigInt.asIntN(64, value) : value };
      });
      return { kind: 'enum64', id, name, size, isSigned: flag, values };
    }
    case BTF_KIND_FWD:
      return { kind: 'fwd', id, name, of: flag ? 'union' : 'struct' };
    case BTF_KIND_FUNC:
      return { kind: 'func', id, name, type, linkage: linkageOf(view.name, count) };
    case BTF_KIND_FUNC_PROTO: {
      const parameters = each(8, (at) => ({ name: strings.at(view.u32(at)), type: view.u32(at + 4) }));
      return { kind: 'func_proto', id, name, returns: type, parameters };
    }
    case BTF_KIND_VAR:
      return { kind: 'var', id, name, type, linkage: linkageOf(view.name, view.u32(after)) };
    case BTF_KIND_DATASEC: {
      const variables = each(BTF_VARIABLE_BYTES, (at) => ({
        type: view.u32(at),
        offset: view.u32(at + 4),
        size: view.u32(at + 8),
      }));
      return { kind: 'datasec', id, name, size, variables };
    }
    case BTF_KIND_DECL_TAG:
      return { kind: 'decl_tag', id, name, type, component: view.i32(after) };
    default:
      throw unknownKind(view.name, id, kind);
  }
}

function linkageOf(where: string, value: number): Linkage {
  const linkage = LINKAGES[value];
  if (linkage === undefined) throw corrupt(where, `there is no linkage ${value}`);
  return linkage;
}
