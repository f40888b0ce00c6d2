import type { Code } from '../code.js';
import { CONTEXT_BYTES } from '../execution.js';
import { accessBytes } from '../instruction-form.js';
import type { Machine } from '../machine.js';
import type { EbpfMap } from '../maps/contract.js';
import {
  BPF_ALU,
  BPF_ALU64,
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_END,
  BPF_EXIT,
  BPF_JMP,
  BPF_JMP32,
  BPF_LD,
  BPF_LDX,
  BPF_OPERATION_MASK,
  BPF_PSEUDO_CALL,
  BPF_ST,
  BPF_STX,
} from '../opcodes.js';
import { type Fields, writeArithmetic } from './arithmetic.js';
import { writeByteOrder } from './byte-order.js';
import { CallWriter, type FunctionNumbers } from './calls.js';
import { writeCondition } from './conditions.js';
import type { BlockWriter } from './control-flow.js';
import type { Block, FlowGraph } from './flow-graph.js';
import { copyKnowledge, isGoodAccess, isOfPacket, type Knowledge, type KnowledgeFollower } from './known-values.js';
import { type AddressKnowledge, MemoryWriter } from './memory.js';
import { SubprogramBody } from './subprogram-body.js';
import * as wasm from './wasm/opcodes.js';

/** What a subprogram is compiled with. */
export interface SubprogramParts {
  readonly code: Code;
  readonly machine: Machine;
  readonly maps: readonly EbpfMap[];
  readonly graph: FlowGraph;
  readonly follower: KnowledgeFollower;
  /** What is known at the start of each block. */
  readonly knowledge: readonly Knowledge[];
  readonly functions: FunctionNumbers;
}

/** Writes the instructions of a subprogram, block by block. */
export class SubprogramWriter implements BlockWriter {
  readonly body = new SubprogramBody();
  readonly #parts: SubprogramParts;
  readonly #memory: MemoryWriter;
  readonly #calls: CallWriter;

  constructor(parts: SubprogramParts) {
    this.#parts = parts;
    this.#memory = new MemoryWriter(this.body, parts.machine);
    this.#calls = new CallWriter(this.body, parts.machine, parts.code, parts.maps, parts.functions);
  }

  /** Writes what comes before the first block. */
  writeBeginning(): void {
    const { graph } = this.#parts;
    const goesBack = graph.some(({ taken }) => taken !== undefined && taken.cost > 0);
    if (goesBack && !graph.some((block) => this.#callsPrograms(block))) this.#calls.keepBudget();
    if (graph.some((_, block) => this.#checksPacket(block))) this.#memory.keepBounds();
  }

  writeInstructions(block: number): void {
    const { graph, follower } = this.#parts;
    const { start, end } = graph[block]!;
    const knowledge = copyKnowledge(this.#parts.knowledge[block]!);
    for (let slot = start; slot < end; slot = follower.after(slot)) {
      this.#writeInstruction(slot, knowledge);
      follower.step(knowledge, slot);
    }
  }

  writeCondition(block: number): void {
    writeCondition(this.body, this.#fields(this.#parts.graph[block]!.last));
  }

  writeCharge(block: number, cost: number): void {
    this.#calls.writeCharge(this.#parts.graph[block]!.last, cost);
  }

  /** Whether a block calls what takes from the budget, too. */
  #callsPrograms({ start, end }: Block): boolean {
    const { code, follower } = this.#parts;
    for (let slot = start; slot < end; slot = follower.after(slot)) {
      if (code.opcodes[slot] !== (BPF_JMP | BPF_CALL)) continue;
      if (code.sources[slot] === BPF_PSEUDO_CALL || code.helpers[slot]!.call === undefined) return true;
    }
    return false;
  }

  /** Whether a block has accesses to the packet that must be checked. */
  #checksPacket(block: number): boolean {
    const { graph, follower, code } = this.#parts;
    const { start, end } = graph[block]!;
    const knowledge = copyKnowledge(this.#parts.knowledge[block]!);
    for (let slot = start; slot < end; slot = follower.after(slot)) {
      const operations = code.opcodes[slot]! & BPF_CLASS_MASK;
      if (operations === BPF_LDX || operations === BPF_ST || operations === BPF_STX) {
        const { isGood, isPacket } = this.#knownAddress(this.#fields(slot), knowledge);
        if (isPacket && !isGood) return true;
      }
      follower.step(knowledge, slot);
    }
    return false;
  }

  #fields(slot: number): Fields {
    const { opcodes, destinations, sources, offsets, immediates } = this.#parts.code;
    return {
      opcode: opcodes[slot]!,
      destination: destinations[slot]!,
      source: sources[slot]!,
      offset: offsets[slot]!,
      immediate: immediates[slot]!,
    };
  }

  #writeInstruction(slot: number, knowledge: Knowledge): void {
    const fields = this.#fields(slot);
    const operation = fields.opcode & BPF_OPERATION_MASK;
    switch (fields.opcode & BPF_CLASS_MASK) {
      case BPF_ALU:
      case BPF_ALU64:
        if (operation === BPF_END) writeByteOrder(this.body, fields);
        else writeArithmetic(this.body, fields);
        break;
      case BPF_JMP:
        if (operation === BPF_CALL) this.#writeCall(slot, knowledge);
        else if (operation === BPF_EXIT) this.#exit();
        break;
      case BPF_JMP32:
        break;
      case BPF_LD: // the wide instruction
        this.body.code.i64Words(fields.immediate, this.#parts.code.immediates[slot + 1]!);
        this.body.take(fields.destination);
        break;
      default:
        this.#memory.write(fields, slot, this.#knownAddress(fields, knowledge));
    }
  }

  #writeCall(slot: number, knowledge: Knowledge): void {
    this.#calls.write(slot, knowledge);
    if (this.#parts.follower.movesPacket(slot)) this.#memory.renewBounds();
  }

  #exit(): void {
    this.#calls.returnBudget();
    this.body.push(0);
    this.body.code.op(wasm.RETURN);
  }

  #knownAddress({ opcode, destination, source, offset }: Fields, knowledge: Knowledge): AddressKnowledge {
    const isLoad = (opcode & BPF_CLASS_MASK) === BPF_LDX;
    const register = isLoad ? source : destination;
    const known = knowledge.registers[register]!;
    const bytes = accessBytes(opcode);
    const first = known.offset + offset;
    const isContext = known.kind === 'context' && isLoad && first >= 0 && first + bytes <= CONTEXT_BYTES;
    return {
      isGood: isContext || isGoodAccess(knowledge, this.#parts.maps, register, offset, bytes),
      stackOffset: known.kind === 'stack' ? first : undefined,
      isAligned: (known.kind === 'stack' || known.kind === 'value') && first % bytes === 0,
      isPacket: isOfPacket(known),
    };
  }
}
