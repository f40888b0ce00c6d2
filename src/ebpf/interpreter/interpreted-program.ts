import type { Code } from '../code.js';
import {
  CONTEXT_DATA,
  CONTEXT_DATA_END,
  CONTEXT_DATA_META,
  CONTEXT_EGRESS_IFINDEX,
  CONTEXT_INGRESS_IFINDEX,
  CONTEXT_RX_QUEUE_INDEX,
  CONTROL_BUDGET,
  CONTROL_PACKET,
  CONTROL_REGISTERS,
  CONTROL_TAIL_CALLS,
  type Executable,
  FAULT_BUDGET,
  FAULT_CALL_DEPTH,
  FAULT_MEMORY,
  FAULT_NONE,
  MOST_CALL_FRAMES,
  PACKET_DATA,
  PACKET_DATA_END,
  PACKET_DATA_META,
  PACKET_EGRESS_IFINDEX,
  PACKET_FAULT,
  PACKET_FAULT_SLOT,
  PACKET_INGRESS_IFINDEX,
  PACKET_RECORD_BYTES,
  PACKET_REDIRECT_FLAGS,
  PACKET_REDIRECT_MAP,
  PACKET_REDIRECT_TARGET,
  PACKET_RX_QUEUE_INDEX,
  PACKET_VERDICT,
  STACK_FRAME_BYTES,
  XDP_ABORTED,
} from '../execution.js';
import { accessBytes } from '../instruction-form.js';
import type { Machine } from '../machine.js';
import type { EbpfMap } from '../maps/contract.js';
import {
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_END,
  BPF_EXIT,
  BPF_JA,
  BPF_JMP,
  BPF_JMP32,
  BPF_LDX,
  BPF_MODE_MASK,
  BPF_OPERATION_MASK,
  BPF_PSEUDO_CALL,
  BPF_SOURCE_MASK,
  BPF_ST,
  BPF_STX,
  BPF_X,
} from '../opcodes.js';
import type { BoundProgram } from '../program.js';
import { CALL_ENDED, NOT_CALLED, tailCall } from '../tail-call.js';
import { arithmetic32, arithmetic64 } from './arithmetic.js';
import { atomic } from './atomics.js';
import { changeByteOrder } from './byte-order.js';
import { isTaken } from './jumps.js';
import { load, reachedAddress, store } from './memory.js';

/** Words kept of a caller while a subprogram runs: registers 6 to 9, and the slot to go on at. */
const SAVED_WORDS = 9;
const KEPT_REGISTERS = 8;
/** What a step says instead of the next slot. */
const ENDED = -1;
const STOPPED = -2;

/**
 * A program that the interpreter runs. Its registers are those of the machine's control block, so that helpers find their arguments
 * where they are.
 */
export class InterpretedProgram implements Executable {
  readonly bound: BoundProgram<EbpfMap>;
  readonly #machine: Machine;
  readonly #code: Code;
  readonly #words: Int32Array;
  /** Index of the control block's first word. */
  readonly #control: number;
  /** Indices of the pairs of registers 0, 6 and 10. */
  readonly #zero: number;
  readonly #six: number;
  readonly #frame: number;
  /** By depth of the caller, 0 for the first frame. */
  readonly #saved = new Int32Array(MOST_CALL_FRAMES * SAVED_WORDS);

  constructor(bound: BoundProgram<EbpfMap>, machine: Machine, code: Code) {
    this.bound = bound;
    this.#machine = machine;
    this.#code = code;
    this.#words = machine.arena.i32;
    this.#control = machine.control >> 2;
    this.#zero = this.#control + CONTROL_REGISTERS;
    this.#six = this.#zero + 12;
    this.#frame = this.#zero + 20;
  }

  run(records: number, count: number): void {
    const words = this.#words;
    for (let i = 0; i < count; i++) {
      const record = records + i * PACKET_RECORD_BYTES;
      this.#begin(record);
      const ended = this.#execute();
      words[(record >> 2) + PACKET_VERDICT] = ended ? words[this.#zero]! : XDP_ABORTED;
    }
  }

  enter(): void {
    this.#execute();
  }

  /** Sets context, control block and the rest of the record to their start. */
  #begin(record: number): void {
    const words = this.#words;
    const packet = record >> 2;
    const context = this.#machine.context >> 2;
    words[context + (CONTEXT_DATA >> 2)] = words[packet + PACKET_DATA]!;
    words[context + (CONTEXT_DATA_END >> 2)] = words[packet + PACKET_DATA_END]!;
    words[context + (CONTEXT_DATA_META >> 2)] = words[packet + PACKET_DATA_META]!;
    words[context + (CONTEXT_INGRESS_IFINDEX >> 2)] = words[packet + PACKET_INGRESS_IFINDEX]!;
    words[context + (CONTEXT_RX_QUEUE_INDEX >> 2)] = words[packet + PACKET_RX_QUEUE_INDEX]!;
    words[context + (CONTEXT_EGRESS_IFINDEX >> 2)] = words[packet + PACKET_EGRESS_IFINDEX]!;
    words[packet + PACKET_FAULT] = FAULT_NONE;
    words[packet + PACKET_FAULT_SLOT] = 0;
    words[packet + PACKET_REDIRECT_MAP] = 0;
    words[packet + PACKET_REDIRECT_TARGET] = 0;
    words[packet + PACKET_REDIRECT_FLAGS] = 0;
    words[this.#control + CONTROL_PACKET] = record;
    words[this.#control + CONTROL_BUDGET] = this.#machine.budget;
    words[this.#control + CONTROL_TAIL_CALLS] = 0;
    this.#set(this.#zero + 2, this.#machine.context);
    this.#set(this.#frame, this.#machine.stackEnd);
  }

  /** Runs from slot 0 in the frame that register 10 names, until that frame is left. Returns false when the run has stopped. */
  #execute(): boolean {
    const { opcodes, destinations, sources, offsets, immediates } = this.#code;
    const words = this.#words;
    const zero = this.#zero;
    const entered = this.#depth();
    let slot = 0;
    while (slot >= 0) {
      const opcode = opcodes[slot]!;
      const at = zero + destinations[slot]! * 2;
      const other = zero + sources[slot]! * 2;
      const immediate = immediates[slot]!;
      const fromRegister = (opcode & BPF_SOURCE_MASK) === BPF_X;
      switch (opcode & BPF_CLASS_MASK) {
        case BPF_ALU64:
          if ((opcode & BPF_OPERATION_MASK) === BPF_END) changeByteOrder(words, at, opcode, immediate);
          else if (fromRegister) arithmetic64(words, at, opcode, words[other]!, words[other + 1]!, offsets[slot]!);
          else arithmetic64(words, at, opcode, immediate, immediate >> 31, offsets[slot]!);
          slot++;
          break;
        case BPF_ALU:
          if ((opcode & BPF_OPERATION_MASK) === BPF_END) changeByteOrder(words, at, opcode, immediate);
          else arithmetic32(words, at, opcode, fromRegister ? words[other]! : immediate, offsets[slot]!);
          slot++;
          break;
        case BPF_JMP: {
          const operation = opcode & BPF_OPERATION_MASK;
          if (operation === BPF_CALL) slot = this.#call(slot, entered);
          else if (operation === BPF_EXIT) slot = this.#leave(entered);
          else {
            const low = fromRegister ? words[other]! : immediate;
            const high = fromRegister ? words[other + 1]! : immediate >> 31;
            const taken = isTaken(opcode, words[at]!, words[at + 1]!, low, high);
            slot = taken ? this.#jump(slot, offsets[slot]!) : slot + 1;
          }
          break;
        }
        case BPF_JMP32: {
          const low = words[at]!;
          const operand = fromRegister ? words[other]! : immediate;
          const distance = (opcode & BPF_OPERATION_MASK) === BPF_JA ? immediate : offsets[slot]!;
          slot = isTaken(opcode, low, low >> 31, operand, operand >> 31) ? this.#jump(slot, distance) : slot + 1;
          break;
        }
        case BPF_LDX: {
          const address = this.#reach(other, slot, accessBytes(opcode), false);
          if (address < 0) return false;
          load(this.#machine.arena, words, at, opcode, address);
          slot++;
          break;
        }
        case BPF_STX: {
          const bytes = accessBytes(opcode);
          const address = this.#reach(at, slot, bytes, true);
          if (address < 0) return false;
          if ((opcode & BPF_MODE_MASK) === BPF_ATOMIC) {
            if ((address & (bytes - 1)) !== 0) {
              this.#stop(FAULT_MEMORY, slot);
              return false;
            }
            atomic(words, address >> 2, opcode, immediate, other, zero);
          } else store(this.#machine.arena, opcode, address, words[other]!, words[other + 1]!);
          slot++;
          break;
        }
        case BPF_ST: {
          const address = this.#reach(at, slot, accessBytes(opcode), true);
          if (address < 0) return false;
          store(this.#machine.arena, opcode, address, immediate, immediate >> 31);
          slot++;
          break;
        }
        default: // BPF_LD: the wide instruction
          words[at] = immediate;
          words[at + 1] = immediates[slot + 1]!;
          slot += 2;
      }
    }
    return slot === ENDED;
  }

  /** The address of an access at the pointer in a pair, or -1 when the run has stopped over it. */
  #reach(pair: number, slot: number, bytes: number, writes: boolean): number {
    const words = this.#words;
    const offset = this.#code.offsets[slot]!;
    const address = reachedAddress(this.#machine, words[pair]!, words[pair + 1]!, offset, bytes, writes);
    if (address < 0) this.#stop(FAULT_MEMORY, slot);
    return address;
  }

  /** Where a jump goes on. Backwards it costs. */
  #jump(slot: number, distance: number): number {
    const target = slot + 1 + distance;
    if (distance < 0 && !this.#pay(slot - target + 1)) return this.#stop(FAULT_BUDGET, slot);
    return target;
  }

  /** Does a call. Returns the slot to go on at, ENDED or STOPPED. */
  #call(slot: number, entered: number): number {
    if (this.#code.sources[slot] === BPF_PSEUDO_CALL) return this.#callSubprogram(slot);
    const helper = this.#code.helpers[slot]!;
    if (helper.call === undefined) return this.#tailCall(slot, entered);
    helper.call(this.#machine);
    return slot + 1;
  }

  #callSubprogram(slot: number): number {
    const words = this.#words;
    const target = slot + 1 + this.#code.immediates[slot]!;
    if (!this.#pay(this.#code.subprogramSlots[target]!)) return this.#stop(FAULT_BUDGET, slot);
    const depth = this.#depth();
    if (depth + 1 === MOST_CALL_FRAMES) return this.#stop(FAULT_CALL_DEPTH, slot);
    const saved = depth * SAVED_WORDS;
    for (let i = 0; i < KEPT_REGISTERS; i++) this.#saved[saved + i] = words[this.#six + i]!;
    this.#saved[saved + KEPT_REGISTERS] = slot + 1;
    words[this.#frame] = words[this.#frame]! - STACK_FRAME_BYTES;
    return target;
  }

  #tailCall(slot: number, entered: number): number {
    const outcome = tailCall(this.#machine, slot);
    if (outcome === NOT_CALLED) return slot + 1;
    return outcome === CALL_ENDED ? this.#leave(entered) : STOPPED;
  }

  /** Leaves a frame. Returns the slot that its caller goes on at, or ENDED for the frame that was entered. */
  #leave(entered: number): number {
    const words = this.#words;
    const depth = this.#depth();
    if (depth === entered) return ENDED;
    const saved = (depth - 1) * SAVED_WORDS;
    for (let i = 0; i < KEPT_REGISTERS; i++) words[this.#six + i] = this.#saved[saved + i]!;
    words[this.#frame] = words[this.#frame]! + STACK_FRAME_BYTES;
    return this.#saved[saved + KEPT_REGISTERS]!;
  }

  /** How many frames are around the current one: programs cannot write register 10, which tells. */
  #depth(): number {
    return (this.#machine.stackEnd - this.#words[this.#frame]!) / STACK_FRAME_BYTES;
  }

  /** Takes instructions from the budget; false where there are not so many. */
  #pay(instructions: number): boolean {
    const budget = this.#control + CONTROL_BUDGET;
    const left = this.#words[budget]! - instructions;
    if (left < 0) return false;
    this.#words[budget] = left;
    return true;
  }

  #stop(fault: number, slot: number): number {
    const packet = this.#words[this.#control + CONTROL_PACKET]! >> 2;
    this.#words[packet + PACKET_FAULT] = fault;
    this.#words[packet + PACKET_FAULT_SLOT] = slot;
    return STOPPED;
  }

  /** Sets the register whose pair is at an index to an arena offset. */
  #set(pair: number, address: number): void {
    this.#words[pair] = address;
    this.#words[pair + 1] = 0;
  }
}
