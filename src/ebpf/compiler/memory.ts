import { FAULT_MEMORY, PACKET_DATA_END, PACKET_DATA_META, STACK_FRAME_BYTES } from '../execution.js';
import { accessBytes } from '../instruction-form.js';
import type { Machine } from '../machine.js';
import {
  BPF_ADD,
  BPF_AND,
  BPF_ATOMIC,
  BPF_B,
  BPF_CLASS_MASK,
  BPF_CMPXCHG,
  BPF_DW,
  BPF_FETCH,
  BPF_H,
  BPF_LDX,
  BPF_MEMSX,
  BPF_MODE_MASK,
  BPF_OR,
  BPF_SIZE_MASK,
  BPF_STX,
  BPF_W,
  BPF_XOR,
} from '../opcodes.js';
import type { Fields } from './arithmetic.js';
import { RECORD_PARAMETER, STACK_PARAMETER, type SubprogramBody } from './subprogram-body.js';
import * as wasm from './wasm/opcodes.js';

/** What is known about the address of an access. */
export interface AddressKnowledge {
  /** It lies in the stack frame: so many bytes from the frame's end, less than 0. */
  readonly stackOffset: number | undefined;
  /** It needs no check. */
  readonly isGood: boolean;
  /** It is a multiple of the access's size. */
  readonly isAligned: boolean;
  /** It is most likely in the packet; otherwise, in program memory. */
  readonly isPacket: boolean;
}

const LOADS = new Map([
  [BPF_B, wasm.I64_LOAD8_U],
  [BPF_H, wasm.I64_LOAD16_U],
  [BPF_W, wasm.I64_LOAD32_U],
  [BPF_DW, wasm.I64_LOAD],
]);
const SIGNED_LOADS = new Map([
  [BPF_B, wasm.I64_LOAD8_S],
  [BPF_H, wasm.I64_LOAD16_S],
  [BPF_W, wasm.I64_LOAD32_S],
]);
const STORES = new Map([
  [BPF_B, wasm.I64_STORE8],
  [BPF_H, wasm.I64_STORE16],
  [BPF_W, wasm.I64_STORE32],
  [BPF_DW, wasm.I64_STORE],
]);
const CHANGES = new Map([
  [BPF_ADD, wasm.I64_ADD],
  [BPF_AND, wasm.I64_AND],
  [BPF_OR, wasm.I64_OR],
  [BPF_XOR, wasm.I64_XOR],
]);

/** Locals that have the packet's place while nothing moves it. */
interface PacketBounds {
  /** Arena offset of its metadata. */
  readonly first: number;
  /** So many bytes from there on 8 bytes can begin at. */
  readonly starts: number;
}

const WIDEST_ACCESS_BYTES = 8;

/** Writes loads, stores and atomic operations of one subprogram (RFC 9669, section 5). */
export class MemoryWriter {
  readonly #body: SubprogramBody;
  readonly #machine: Machine;
  #bounds: PacketBounds | undefined;

  constructor(body: SubprogramBody, machine: Machine) {
    this.#body = body;
    this.#machine = machine;
  }

  /** Writes the beginning of a subprogram with many accesses to the packet: its bounds become locals. */
  keepBounds(): void {
    this.#bounds = { first: this.#body.code.local(wasm.I64), starts: this.#body.code.local(wasm.I64) };
    this.renewBounds();
  }

  /** Writes what follows on anything that may move the packet. */
  renewBounds(): void {
    if (this.#bounds === undefined) return;
    const { code } = this.#body;
    const { first, starts } = this.#bounds;
    code.get(RECORD_PARAMETER);
    code.memory(wasm.I64_LOAD32_U, PACKET_DATA_END * 4);
    code.get(RECORD_PARAMETER);
    code.memory(wasm.I64_LOAD32_U, PACKET_DATA_META * 4);
    code.tee(first);
    code.op(wasm.I64_SUB);
    code.i64(WIDEST_ACCESS_BYTES - 1);
    code.op(wasm.I64_SUB);
    code.tee(starts);
    code.i64(0);
    code.get(starts);
    code.i64(0);
    code.op(wasm.I64_GT_S);
    code.op(wasm.SELECT);
    code.set(starts);
  }

  /** Writes an instruction of BPF_LDX, BPF_ST or BPF_STX. */
  write(fields: Fields, slot: number, known: AddressKnowledge): void {
    const { opcode } = fields;
    const mode = opcode & BPF_MODE_MASK;
    if ((opcode & BPF_CLASS_MASK) === BPF_LDX) {
      const offset = this.#pushAddress(fields, fields.source, slot, known);
      const loads = mode === BPF_MEMSX ? SIGNED_LOADS : LOADS;
      this.#body.code.memory(loads.get(opcode & BPF_SIZE_MASK)!, offset);
      this.#body.take(fields.destination);
    } else if (mode === BPF_ATOMIC) this.#writeAtomic(fields, slot, known);
    else {
      const offset = this.#pushAddress(fields, fields.destination, slot, known);
      if ((opcode & BPF_CLASS_MASK) === BPF_STX) this.#body.push(fields.source);
      else this.#body.code.i64(fields.immediate);
      this.#body.code.memory(STORES.get(opcode & BPF_SIZE_MASK)!, offset);
    }
  }

  /** Puts an address on WebAssembly's stack, checked unless it is good. Returns what the access still has to add to it. */
  #pushAddress(fields: Fields, register: number, slot: number, known: AddressKnowledge): number {
    const { code } = this.#body;
    if (known.isGood && known.stackOffset !== undefined) {
      code.get(STACK_PARAMETER);
      return known.stackOffset + STACK_FRAME_BYTES;
    }
    if (known.isGood) {
      this.#body.pushLow(register);
      if (fields.offset >= 0) return fields.offset;
      code.i32(fields.offset);
      code.op(wasm.I32_ADD);
      return 0;
    }
    this.#checkAddress(fields, register, slot, known.isPacket);
    code.get(this.#body.wideAddress);
    code.op(wasm.I32_WRAP_I64);
    return 0;
  }

  /** Leaves an address in a local, and stops the run where the program may not do what it wants there. */
  #checkAddress(fields: Fields, register: number, slot: number, isPacket: boolean): void {
    const { code, wideAddress } = this.#body;
    const bytes = accessBytes(fields.opcode);
    const writes = (fields.opcode & BPF_CLASS_MASK) !== BPF_LDX;
    this.#body.push(register);
    if (fields.offset !== 0) {
      code.i64(fields.offset);
      code.op(wasm.I64_ADD);
    }
    code.set(wideAddress);
    // What it most likely is comes first.
    const bounds = isPacket ? this.#bounds : undefined;
    if (bounds !== undefined) {
      this.#pushIsOutsideBounds(bounds);
      code.if();
    }
    this.#pushIsOutsideMemory(bytes, writes);
    code.if();
    this.#pushIsOutsidePacket(bytes);
    code.if();
    this.#body.stop(FAULT_MEMORY, slot);
    code.end();
    code.end();
    if (bounds !== undefined) code.end();
  }

  /** Whether it is not surely in the packet: its last bytes are left to the exact check. */
  #pushIsOutsideBounds({ first, starts }: PacketBounds): void {
    const { code, wideAddress } = this.#body;
    code.get(wideAddress);
    code.get(first);
    code.op(wasm.I64_SUB);
    code.get(starts);
    code.op(wasm.I64_GE_U);
  }

  #pushIsOutsideMemory(bytes: number, writes: boolean): void {
    const { code, wideAddress } = this.#body;
    const { low, writable, high } = this.#machine;
    const first = writes ? writable : low;
    code.get(wideAddress);
    code.i64(first);
    code.op(wasm.I64_SUB);
    code.i64(high - first - bytes);
    code.op(wasm.I64_GT_U);
  }

  #pushIsOutsidePacket(bytes: number): void {
    const { code, wideAddress } = this.#body;
    code.get(wideAddress);
    code.get(RECORD_PARAMETER);
    code.memory(wasm.I64_LOAD32_U, PACKET_DATA_META * 4);
    code.op(wasm.I64_LT_U);
    code.get(wideAddress);
    code.get(RECORD_PARAMETER);
    code.memory(wasm.I64_LOAD32_U, PACKET_DATA_END * 4);
    code.i64(bytes);
    code.op(wasm.I64_SUB); // packets lie beyond the arena's first page, so that it does not wrap
    code.op(wasm.I64_GT_U);
    code.op(wasm.I32_OR);
  }

  /** A machine belongs to one thread, so that nothing can come between reading and writing. */
  #writeAtomic(fields: Fields, slot: number, known: AddressKnowledge): void {
    const { code, address, scratch } = this.#body;
    const { opcode, source, immediate } = fields;
    const size = opcode & BPF_SIZE_MASK;
    const offset = this.#pushAddress(fields, fields.destination, slot, known);
    code.tee(address);
    if (!known.isAligned) this.#checkAlignment(fields, slot, offset);
    code.memory(LOADS.get(size)!, offset);
    code.set(scratch);
    if (immediate === BPF_CMPXCHG) {
      this.#pushIsExpected(size);
      code.if();
    }
    code.get(address);
    const change = CHANGES.get(immediate & ~BPF_FETCH);
    if (change !== undefined) code.get(scratch);
    this.#body.push(source);
    if (change !== undefined) code.op(change);
    code.memory(STORES.get(size)!, offset);
    if (immediate === BPF_CMPXCHG) code.end();
    if ((immediate & BPF_FETCH) === 0) return;
    code.get(scratch);
    this.#body.take(immediate === BPF_CMPXCHG ? 0 : source);
  }

  /** Takes the address from WebAssembly's stack, and puts it back when it is a multiple of the size. */
  #checkAlignment({ opcode }: Fields, slot: number, offset: number): void {
    const { code, address } = this.#body;
    if (offset !== 0) {
      code.i32(offset);
      code.op(wasm.I32_ADD);
    }
    code.i32(accessBytes(opcode) - 1);
    code.op(wasm.I32_AND);
    code.if();
    this.#body.stop(FAULT_MEMORY, slot);
    code.end();
    code.get(address);
  }

  /** Whether what was in memory is what BPF_CMPXCHG expects. */
  #pushIsExpected(size: number): void {
    const { code, scratch } = this.#body;
    code.get(scratch);
    if (size === BPF_DW) {
      this.#body.push(0);
      code.op(wasm.I64_EQ);
    } else {
      code.op(wasm.I32_WRAP_I64);
      this.#body.pushLow(0);
      code.op(wasm.I32_EQ);
    }
  }
}
