import type { Code } from '../code.js';
import {
  CONTROL_BUDGET,
  CONTROL_REGISTERS,
  FAULT_BUDGET,
  FAULT_CALL_DEPTH,
  PACKET_FAULT,
  STACK_FRAME_BYTES,
} from '../execution.js';
import type { Helper } from '../helpers/contract.js';
import type { Machine } from '../machine.js';
import type { EbpfMap, ValueRow } from '../maps/contract.js';
import { BPF_PSEUDO_CALL, BPF_REG_FP } from '../opcodes.js';
import { CALL_ENDED, NOT_CALLED } from '../tail-call.js';
import { hasValues, isGoodAccess, type Knowledge, MAP_LOOKUP } from './known-values.js';
import { DEEPEST_FRAME_BYTES, RECORD_PARAMETER, STACK_PARAMETER, type SubprogramBody } from './subprogram-body.js';
import * as wasm from './wasm/opcodes.js';

/** Numbers that functions have in a module. */
export interface FunctionNumbers {
  ofHelper(helper: Helper): number;
  /** Takes the slot of the call, and returns what `tailCall` does. */
  readonly tailCall: number;
  /** Looks a key up in a map of the program: takes its arena offset, and returns that of the value, or 0. @param map its index */
  ofLookup(map: number): number;
  /** @param slot the subprogram's first */
  ofSubprogram(slot: number): number;
}

/** Writes the calls of one subprogram, and what they cost. */
export class CallWriter {
  readonly #body: SubprogramBody;
  readonly #machine: Machine;
  readonly #code: Code;
  readonly #maps: readonly EbpfMap[];
  readonly #functions: FunctionNumbers;
  /** Arena offset of the budget, and the local that has it instead. */
  readonly #budget: number;
  #kept: number | undefined;

  constructor(
    body: SubprogramBody,
    machine: Machine,
    code: Code,
    maps: readonly EbpfMap[],
    functions: FunctionNumbers,
  ) {
    this.#body = body;
    this.#maps = maps;
    this.#machine = machine;
    this.#code = code;
    this.#functions = functions;
    this.#budget = machine.control + CONTROL_BUDGET * 4;
  }

  /** Writes the call in a slot. @param knowledge what is known before it */
  write(slot: number, knowledge: Knowledge): void {
    if (this.#code.sources[slot] === BPF_PSEUDO_CALL) this.#callSubprogram(slot);
    else {
      const helper = this.#code.helpers[slot]!;
      if (helper.call === undefined) this.#tailCall(slot);
      else if (helper.number !== MAP_LOOKUP || !this.#lookup(knowledge)) this.#callHelper(helper);
    }
  }

  /** Writes the beginning of a subprogram that no other one is called from: what is left of the budget becomes a local. */
  keepBudget(): void {
    this.#kept = this.#body.code.local(wasm.I32);
    this.#body.code.i32(this.#budget);
    this.#body.code.memory(wasm.I32_LOAD, 0);
    this.#body.code.set(this.#kept);
  }

  /** Writes the budget back before the subprogram is left. */
  returnBudget(): void {
    if (this.#kept === undefined) return;
    this.#body.code.i32(this.#budget);
    this.#body.code.get(this.#kept);
    this.#body.code.memory(wasm.I32_STORE, 0);
  }

  /** Takes instructions from the budget, or stops the run. */
  writeCharge(slot: number, cost: number): void {
    const { code } = this.#body;
    const left = this.#kept ?? this.#body.address;
    if (this.#kept === undefined) {
      code.i32(this.#budget);
      code.memory(wasm.I32_LOAD, 0);
    } else code.get(left);
    code.i32(cost);
    code.op(wasm.I32_SUB);
    code.tee(left);
    code.i32(0);
    code.op(wasm.I32_LT_S);
    code.if();
    this.#body.stop(FAULT_BUDGET, slot);
    code.end();
    if (this.#kept !== undefined) return;
    code.i32(this.#budget);
    code.get(left);
    code.memory(wasm.I32_STORE, 0);
  }

  #callSubprogram(slot: number): void {
    const { code } = this.#body;
    const target = slot + 1 + this.#code.immediates[slot]!;
    this.writeCharge(slot, this.#code.subprogramSlots[target]!);
    code.get(STACK_PARAMETER);
    code.i32(this.#machine.stackEnd - STACK_FRAME_BYTES - DEEPEST_FRAME_BYTES);
    code.op(wasm.I32_LE_S);
    code.if();
    this.#body.stop(FAULT_CALL_DEPTH, slot);
    code.end();
    for (let register = 1; register <= 5; register++) this.#body.push(register);
    code.get(STACK_PARAMETER);
    code.i32(STACK_FRAME_BYTES);
    code.op(wasm.I32_SUB);
    code.get(RECORD_PARAMETER);
    code.call(this.#functions.ofSubprogram(target));
    this.#body.take(0);
    code.get(RECORD_PARAMETER);
    code.memory(wasm.I32_LOAD, PACKET_FAULT * 4);
    code.if();
    this.#body.leaveStopped();
    code.end();
  }

  /** Asks the map itself, where it is known which one, and that the key can be read. Returns false otherwise. */
  #lookup(knowledge: Knowledge): boolean {
    const { kind, map } = knowledge.registers[1]!;
    if (kind !== 'map') return false;
    const { definition, row } = this.#maps[map]!;
    if (!hasValues(definition) || !isGoodAccess(knowledge, this.#maps, 2, 0, definition.keySize)) return false;
    if (row === undefined) {
      this.#body.pushLow(2);
      this.#body.code.call(this.#functions.ofLookup(map));
    } else this.#pushElement(row, definition.maxEntries);
    this.#body.takeLow(0);
    return true;
  }

  /** Puts the address of the value whose index register 2 points to on WebAssembly's stack, or 0. */
  #pushElement({ first, stride }: ValueRow, entries: number): void {
    const { code, address: index } = this.#body;
    this.#body.pushLow(2);
    code.memory(wasm.I32_LOAD, 0);
    code.tee(index);
    code.i32(stride);
    code.op(wasm.I32_MUL);
    code.i32(first);
    code.op(wasm.I32_ADD);
    code.i32(0);
    code.get(index);
    code.i32(entries);
    code.op(wasm.I32_LT_U);
    code.op(wasm.SELECT);
  }

  #callHelper(helper: Helper): void {
    for (let register = 1; register <= helper.arguments.length; register++) this.#hand(register);
    this.#body.code.call(this.#functions.ofHelper(helper));
    this.#takeResult();
    this.#body.take(0);
  }

  #tailCall(slot: number): void {
    const { code, address: outcome } = this.#body;
    for (const register of [2, 3, BPF_REG_FP]) this.#hand(register);
    code.i32(slot);
    code.call(this.#functions.tailCall);
    code.tee(outcome);
    code.i32(NOT_CALLED);
    code.op(wasm.I32_NE);
    code.if();
    code.get(outcome);
    code.i32(CALL_ENDED);
    code.op(wasm.I32_EQ);
    code.if();
    this.#takeResult();
    code.op(wasm.RETURN);
    code.end();
    this.#body.leaveStopped();
    code.end();
  }

  /** Puts a register where helpers find it. */
  #hand(register: number): void {
    this.#body.code.i32(this.#registerAddress(register));
    this.#body.push(register);
    this.#body.code.memory(wasm.I64_STORE, 0);
  }

  /** Puts a helper's result on WebAssembly's stack. */
  #takeResult(): void {
    this.#body.code.i32(this.#registerAddress(0));
    this.#body.code.memory(wasm.I64_LOAD, 0);
  }

  #registerAddress(register: number): number {
    return this.#machine.control + (CONTROL_REGISTERS + register * 2) * 4;
  }
}
