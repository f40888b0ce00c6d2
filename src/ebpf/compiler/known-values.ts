import type { Code } from '../code.js';
import { CONTEXT_DATA, CONTEXT_DATA_END, STACK_FRAME_BYTES } from '../execution.js';
import { accessBytes } from '../instruction-form.js';
import type { EbpfMap, MapDefinition, MapType } from '../maps/contract.js';
import {
  BPF_ADD,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_CMPXCHG,
  BPF_FETCH,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JLE,
  BPF_JLT,
  BPF_JMP,
  BPF_JMP32,
  BPF_JNE,
  BPF_LD,
  BPF_LDX,
  BPF_LOAD_WIDE,
  BPF_MEM,
  BPF_MODE_MASK,
  BPF_MOV,
  BPF_OPERATION_MASK,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_REG_FP,
  BPF_REGISTERS,
  BPF_SOURCE_MASK,
  BPF_ST,
  BPF_STX,
  BPF_SUB,
  BPF_X,
} from '../opcodes.js';
import type { Program } from '../program.js';

/**
 * What the compiler itself can tell about a register:
 *
 * - `number`: it is `offset`, a number
 * - `context`, `stack`, `packet`: that many bytes from the context, the end of the frame, the packet's first byte
 * - `packet-end`: the byte after the packet's last
 * - `in-packet`: calculated from one of those; most likely an address in the packet, but nothing is certain
 * - `map`: the handle of the program's map `map`
 * - `value`: that many bytes from the start of a value of the map; `value-or-null`: the start of one, or 0, as the call in the slot `origin` gave
 */
export interface Known {
  readonly kind:
    | 'number'
    | 'context'
    | 'stack'
    | 'packet'
    | 'packet-end'
    | 'in-packet'
    | 'map'
    | 'value'
    | 'value-or-null'
    | 'unknown';
  readonly offset: number;
  readonly map: number;
  readonly origin: number;
}

/** What is known at some place of a subprogram. */
export interface Knowledge {
  /** By register. */
  readonly registers: Known[];
  /** So many bytes from its first one the packet has at least. */
  packetBytes: number;
}

/** bpf_map_lookup_elem (enum bpf_func_id). */
export const MAP_LOOKUP = 1;
/** Types of maps whose lookups lead to values. */
const VALUE_MAPS: readonly MapType[] = [
  'array',
  'hash',
  'lpm_trie',
  'lru_hash',
  'lru_percpu_hash',
  'percpu_array',
  'percpu_hash',
];
/** Whether lookups in a map lead to values. */
export function hasValues({ type }: MapDefinition): boolean {
  return VALUE_MAPS.includes(type);
}

/** Offsets beyond are not followed, so that sums stay small. */
const MOST_OFFSET = 2 ** 28;

const UNKNOWN = known('unknown');
const IN_PACKET = known('in-packet');

function known(kind: Known['kind'], offset = 0, map = -1, origin = -1): Known {
  return { kind, offset, map, origin };
}

/** What is known at the start of a subprogram. @param isEntry whether it is where the program begins, and not called */
export function knowledgeAtStart(isEntry: boolean): Knowledge {
  const registers = Array.from({ length: BPF_REGISTERS }, () => UNKNOWN);
  if (isEntry) registers[1] = known('context');
  registers[BPF_REG_FP] = known('stack');
  return { registers, packetBytes: 0 };
}

export function copyKnowledge({ registers, packetBytes }: Knowledge): Knowledge {
  return { registers: registers.slice(), packetBytes };
}

/** Leaves in the first what both know. Returns whether that is less than it knew. */
export function meet(first: Knowledge, second: Knowledge): boolean {
  let less = second.packetBytes < first.packetBytes;
  first.packetBytes = Math.min(first.packetBytes, second.packetBytes);
  for (let register = 0; register < BPF_REGISTERS; register++) {
    const one = first.registers[register]!;
    const other = second.registers[register]!;
    if (one === other || one.kind === 'unknown' || isSame(one, other)) continue;
    const met = isOfPacket(one) && isOfPacket(other) ? IN_PACKET : UNKNOWN;
    if (isSame(one, met)) continue;
    first.registers[register] = met;
    less = true;
  }
  return less;
}

function isSame(one: Known, other: Known): boolean {
  return one.kind === other.kind && one.offset === other.offset && one.map === other.map && one.origin === other.origin;
}

/** Whether it was calculated from the ends of the packet. */
export function isOfPacket({ kind }: Known): boolean {
  return kind === 'packet' || kind === 'packet-end' || kind === 'in-packet';
}

/** Whether an access of `bytes` at a register plus `offset` needs no check. */
export function isGoodAccess(
  knowledge: Knowledge,
  maps: readonly EbpfMap[],
  register: number,
  offset: number,
  bytes: number,
): boolean {
  const { kind, offset: base, map } = knowledge.registers[register]!;
  const first = base + offset;
  const end = first + bytes;
  if (kind === 'stack') return first >= -STACK_FRAME_BYTES && end <= 0;
  if (kind === 'packet') return first >= 0 && end <= knowledge.packetBytes;
  return kind === 'value' && first >= 0 && end <= maps[map]!.definition.valueSize;
}

/** Follows what is known through instructions. */
export class KnowledgeFollower {
  readonly #code: Code;
  readonly #program: Program;
  readonly #movesPacket: boolean;

  /** @param movesPacket whether any helper that the program calls may move the packet */
  constructor(code: Code, program: Program, movesPacket: boolean) {
    this.#code = code;
    this.#program = program;
    this.#movesPacket = movesPacket;
  }

  /** The slot of the next instruction. */
  after(slot: number): number {
    return this.#code.opcodes[slot] === BPF_LOAD_WIDE ? slot + 2 : slot + 1;
  }

  /** Whether the call in a slot may move the packet. */
  movesPacket(slot: number): boolean {
    const isSubprogram = this.#code.sources[slot] === BPF_PSEUDO_CALL;
    return isSubprogram ? this.#movesPacket : this.#code.helpers[slot]!.movesPacket === true;
  }

  /** Makes of what is known before the instruction in a slot what is known after it. */
  step(knowledge: Knowledge, slot: number): void {
    const { opcodes, destinations } = this.#code;
    const { registers } = knowledge;
    const opcode = opcodes[slot]!;
    const destination = destinations[slot]!;
    switch (opcode & BPF_CLASS_MASK) {
      case BPF_ALU64:
        registers[destination] = this.#calculated(registers, slot);
        break;
      case BPF_JMP:
        if ((opcode & BPF_OPERATION_MASK) === BPF_CALL) this.#call(knowledge, slot);
        break;
      case BPF_LDX:
        registers[destination] = this.#loaded(registers, slot);
        break;
      case BPF_STX:
        this.#forgetFetched(registers, slot);
        break;
      case BPF_JMP32:
      case BPF_ST:
        break;
      case BPF_LD: // the wide instruction
        registers[destination] = this.#wide(slot);
        break;
      default: // BPF_ALU
        registers[destination] = UNKNOWN;
    }
  }

  /** Adds what is certain after the jump at the end of a block was taken, or was not. */
  choose(knowledge: Knowledge, slot: number, isTaken: boolean): void {
    const { opcodes, destinations, sources, immediates } = this.#code;
    const { registers } = knowledge;
    const opcode = opcodes[slot]!;
    if ((opcode & BPF_CLASS_MASK) !== BPF_JMP) return;
    const operation = opcode & BPF_OPERATION_MASK;
    const left = registers[destinations[slot]!]!;
    if ((opcode & BPF_SOURCE_MASK) !== BPF_X) {
      const isNotNull = immediates[slot] === 0 && left.kind === 'value-or-null' && NOT_ZERO.get(operation) === isTaken;
      if (isNotNull) this.#becomeValue(registers, left);
      return;
    }
    const right = registers[sources[slot]!]!;
    let inside = -1;
    if (left.kind === 'packet' && right.kind === 'packet-end' && LEFT_IN_RIGHT.get(operation) === isTaken) {
      inside = left.offset;
    }
    if (left.kind === 'packet-end' && right.kind === 'packet' && RIGHT_IN_LEFT.get(operation) === isTaken) {
      inside = right.offset;
    }
    knowledge.packetBytes = Math.max(knowledge.packetBytes, inside);
  }

  #calculated(registers: readonly Known[], slot: number): Known {
    const { opcodes, destinations, sources, offsets, immediates } = this.#code;
    const opcode = opcodes[slot]!;
    const operation = opcode & BPF_OPERATION_MASK;
    const left = registers[destinations[slot]!]!;
    const right =
      (opcode & BPF_SOURCE_MASK) === BPF_X ? registers[sources[slot]!]! : known('number', immediates[slot]!);
    if (operation === BPF_MOV) {
      if (offsets[slot] !== 0) return UNKNOWN;
      return right.kind === 'number' && Math.abs(right.offset) > MOST_OFFSET ? UNKNOWN : right;
    }
    if (operation !== BPF_ADD && operation !== BPF_SUB) return UNKNOWN;
    if (right.kind === 'number') return moved(left, operation === BPF_ADD ? right.offset : -right.offset);
    if (left.kind === 'number' && operation === BPF_ADD) return moved(right, left.offset);
    return isOfPacket(left) !== isOfPacket(right) ? IN_PACKET : UNKNOWN;
  }

  #loaded(registers: readonly Known[], slot: number): Known {
    const { kind, offset } = registers[this.#code.sources[slot]!]!;
    if (kind !== 'context' || !isContextWord(this.#code.opcodes[slot]!)) return UNKNOWN;
    const field = offset + this.#code.offsets[slot]!;
    if (field === CONTEXT_DATA) return known('packet');
    return field === CONTEXT_DATA_END ? known('packet-end') : UNKNOWN;
  }

  #forgetFetched(registers: Known[], slot: number): void {
    const operation = this.#code.immediates[slot]!;
    if ((this.#code.opcodes[slot]! & BPF_MODE_MASK) !== BPF_ATOMIC || (operation & BPF_FETCH) === 0) return;
    registers[operation === BPF_CMPXCHG ? 0 : this.#code.sources[slot]!] = UNKNOWN;
  }

  #wide(slot: number): Known {
    const { source, immediate } = this.#program.instructions[slot]!;
    if (source === BPF_PSEUDO_MAP_IDX) return known('map', 0, immediate);
    if (source !== BPF_PSEUDO_MAP_IDX_VALUE) return UNKNOWN;
    return known('value', this.#program.instructions[slot + 1]!.immediate, immediate);
  }

  #call(knowledge: Knowledge, slot: number): void {
    const { registers } = knowledge;
    const helper = this.#code.helpers[slot];
    const map = registers[1]!;
    for (let register = 0; register <= 5; register++) registers[register] = UNKNOWN;
    if (this.movesPacket(slot)) forgetPacket(knowledge);
    if (helper?.number !== MAP_LOOKUP) return;
    // In a loop this call may have given another value before.
    for (const [register, { kind, origin }] of registers.entries()) {
      if (kind === 'value-or-null' && origin === slot) registers[register] = UNKNOWN;
    }
    if (map.kind === 'map' && hasValues(this.#program.maps[map.map]!))
      registers[0] = known('value-or-null', 0, map.map, slot);
  }

  #becomeValue(registers: Known[], { map, origin }: Known): void {
    for (const [register, other] of registers.entries()) {
      if (other.kind === 'value-or-null' && other.origin === origin) registers[register] = known('value', 0, map);
    }
  }
}

/** Whether the jump is taken, by its operation, where the register is not the 0 that it is compared with. */
const NOT_ZERO = new Map<number, boolean>([
  [BPF_JEQ, false],
  [BPF_JNE, true],
]);
/** Whether it is taken where the left number is at most the right one; and the other way round. */
const LEFT_IN_RIGHT = new Map<number, boolean>([
  [BPF_JGT, false],
  [BPF_JGE, false],
  [BPF_JLT, true],
  [BPF_JLE, true],
]);
const RIGHT_IN_LEFT = new Map<number, boolean>([
  [BPF_JGT, true],
  [BPF_JGE, true],
  [BPF_JLT, false],
  [BPF_JLE, false],
]);

/** Whether a load is one of a whole word of the context, not sign-extended. */
export function isContextWord(opcode: number): boolean {
  return accessBytes(opcode) === 4 && (opcode & BPF_MODE_MASK) === BPF_MEM;
}

function moved(base: Known, distance: number): Known {
  const { kind, offset, map } = base;
  if (kind === 'in-packet' || kind === 'packet-end') return IN_PACKET;
  if (kind === 'unknown' || kind === 'map' || kind === 'value-or-null') return UNKNOWN;
  return Math.abs(offset + distance) > MOST_OFFSET ? UNKNOWN : known(kind, offset + distance, map);
}

function forgetPacket(knowledge: Knowledge): void {
  knowledge.packetBytes = 0;
  for (const [register, value] of knowledge.registers.entries()) {
    if (isOfPacket(value)) knowledge.registers[register] = IN_PACKET;
  }
}
