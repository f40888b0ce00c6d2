import type { SourceLine } from '../../program.js';
import { ByteView } from '../byte-view.js';
import { corrupt } from '../damage.js';
import type { StringTable } from '../string-table.js';
import { btfHeaderBytes } from './btf-layout.js';

/** Bytes of records as the format began with them; later ones may be longer. */
const FUNCTION_BYTES = 8;
const LINE_BYTES = 16;
const FIELD_BYTES = 16;
/** Of a header that ends before the relocations of fields. */
const HEADER_WITH_FIELDS_BYTES = 32;
const SLOT_BYTES = 8;

/** The type of the function that begins at a slot of a section. */
export interface FunctionRecord {
  readonly slot: number;
  readonly type: number;
}

/** An instruction that depends on the layout of a type where the program runs ("CO-RE"; struct bpf_core_relo in linux/bpf.h). */
export interface FieldRecord {
  readonly slot: number;
  /** The type, in the object's BTF. */
  readonly type: number;
  /** Which member of which member: `0:1:2`. */
  readonly access: string;
  /** What is asked about it (enum bpf_core_relo_kind). */
  readonly kind: number;
}

/** What `.BTF.ext` says about code, by the name of the section, with slots of the section, in the order of the file. */
export interface BtfExtension {
  readonly functions: ReadonlyMap<string, readonly FunctionRecord[]>;
  readonly lines: ReadonlyMap<string, readonly SourceLine[]>;
  readonly fields: ReadonlyMap<string, readonly FieldRecord[]>;
}

/** Reads a `.BTF.ext` section (Documentation/bpf/btf.rst, section 4.2). @throws PacketError PROGRAM_CORRUPT */
export function readBtfExtension(bytes: Uint8Array, strings: StringTable): BtfExtension {
  const section = new ByteView(bytes, 'BTF.ext');
  const length = btfHeaderBytes(section);
  const part = (at: number, name: string) =>
    section.part(length + section.u32(at), section.u32(at + 4), `${name} of BTF.ext`);
  const slotOf = (view: ByteView, at: number) => {
    const offset = view.u32(at);
    if (offset % SLOT_BYTES !== 0) throw corrupt(view.name, `there is no instruction at byte ${offset}`);
    return offset / SLOT_BYTES;
  };
  return {
    functions: readRecords(part(8, 'functions'), strings, FUNCTION_BYTES, (view, at) => ({
      slot: slotOf(view, at),
      type: view.u32(at + 4),
    })),
    lines: readRecords(part(16, 'lines'), strings, LINE_BYTES, (view, at) => {
      const place = view.u32(at + 12);
      return {
        slot: slotOf(view, at),
        file: strings.at(view.u32(at + 4)),
        line: place >>> 10,
        column: place & 0x3ff,
        text: strings.at(view.u32(at + 8)),
      };
    }),
    fields:
      length < HEADER_WITH_FIELDS_BYTES
        ? new Map()
        : readRecords(part(24, 'fields'), strings, FIELD_BYTES, (view, at) => ({
            slot: slotOf(view, at),
            type: view.u32(at + 4),
            access: strings.at(view.u32(at + 8)),
            kind: view.u32(at + 12),
          })),
  };
}

/** A part: the length of its records, then for each section its name, how many records, and they. */
function readRecords<Item>(
  view: ByteView,
  strings: StringTable,
  least: number,
  read: (view: ByteView, at: number) => Item,
): Map<string, Item[]> {
  const records = new Map<string, Item[]>();
  if (view.length === 0) return records;
  const bytes = view.u32(0);
  if (bytes < least) throw corrupt(view.name, `records of ${bytes} bytes, and they have at least ${least}`);
  for (let at = 4; at < view.length; ) {
    const name = strings.at(view.u32(at));
    const count = view.u32(at + 4);
    const block = view.part(at + 8, count * bytes, view.name);
    const items = records.get(name) ?? [];
    for (let index = 0; index < count; index++) items.push(read(block, index * bytes));
    records.set(name, items);
    at += 8 + count * bytes;
  }
  return records;
}
