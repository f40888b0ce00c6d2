import type { PacketError } from '../../../errors.js';
import { corrupt } from '../damage.js';
import type { StringTable } from '../string-table.js';
import type { ArrayType, BtfType, DataSection } from './types.js';

/** Bytes of a pointer in eBPF. */
const POINTER_BYTES = 8;
/** Most types behind each other until one that has a size of its own, as in libbpf. */
const MOST_STEPS = 32;
/** Most bytes of a type: sizes are 32 bits. */
const MOST_BYTES = 2 ** 32 - 1;

/** The types of an object or of a kernel. A damaged table may have types that name none, or each other in a circle; asking for them says so. */
export class Btf {
  readonly #sections = new Map<string, DataSection>();

  /**
   * @param types by number
   * @param strings its strings, which `.BTF.ext` names, too
   */
  constructor(
    readonly types: readonly BtfType[],
    readonly strings: StringTable,
  ) {
    for (const type of types) if (type.kind === 'datasec') this.#sections.set(type.name, type);
  }

  /** The type of a number. @throws PacketError PROGRAM_CORRUPT where there is none */
  type(id: number): BtfType {
    const type = this.types[id];
    if (type === undefined) throw corrupt('BTF', `there is no type ${id}, the last one is ${this.types.length - 1}`);
    return type;
  }

  /** The type behind other names for it (typedef) and behind const, volatile, restrict and tags. @throws PacketError PROGRAM_CORRUPT */
  resolve(id: number): BtfType {
    let type = this.type(id);
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      switch (type.kind) {
        case 'typedef':
        case 'const':
        case 'volatile':
        case 'restrict':
        case 'type_tag':
          type = this.type(type.type);
          break;
        default:
          return type;
      }
    }
    throw circle(id);
  }

  /** Bytes of a value. @throws PacketError PROGRAM_CORRUPT for types without a size, and sizes of 4 GiB or more */
  sizeOf(id: number): number {
    let factor = 1;
    let type = this.resolve(id);
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      if (type.kind !== 'array') return this.#bounded(id, factor * this.#ownSize(type));
      factor = this.#bounded(id, factor * type.length);
      type = this.resolve(type.element);
    }
    throw circle(id);
  }

  /** The variables' section of a name, if there is one. */
  dataSection(name: string): DataSection | undefined {
    return this.#sections.get(name);
  }

  #ownSize(type: Exclude<BtfType, ArrayType>): number {
    switch (type.kind) {
      case 'ptr':
        return POINTER_BYTES;
      case 'int':
      case 'float':
      case 'struct':
      case 'union':
      case 'enum':
      case 'enum64':
      case 'datasec':
        return type.size;
      default:
        throw corrupt('BTF', `type ${type.id} (${type.kind} ${type.name}) has no size`);
    }
  }

  #bounded(id: number, bytes: number): number {
    if (bytes <= MOST_BYTES) return bytes;
    throw corrupt('BTF', `type ${id} would have ${bytes} bytes`);
  }
}

function circle(id: number): PacketError {
  return corrupt('BTF', `type ${id} leads over more than ${MOST_STEPS} types to no end`);
}
