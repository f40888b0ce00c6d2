import {
  CONTEXT_DATA,
  CONTEXT_RX_QUEUE_INDEX,
  CONTROL_BUDGET,
  CONTROL_PACKET,
  CONTROL_REGISTERS,
  CONTROL_TAIL_CALLS,
  PACKET_DATA_META,
  PACKET_FAULT,
  PACKET_INGRESS_IFINDEX,
  PACKET_RECORD_BYTES,
  PACKET_REDIRECT_FLAGS,
  PACKET_RX_QUEUE_INDEX,
  PACKET_VERDICT,
  STACK_FRAME_BYTES,
} from '../execution.js';
import type { Machine } from '../machine.js';
import { BPF_REG_FP } from '../opcodes.js';
import { CodeWriter } from './wasm/code-writer.js';
import * as wasm from './wasm/opcodes.js';

/** Words 1 (data), 2 (end), 0 (metadata) of one vector, then word 0 (ifindex) of the other: record to context. */
const CONTEXT_ORDER = [4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 16, 17, 18, 19];

/** The exported function that runs a program on a row of packets: offset of the first record, count. */
export function writeRun(machine: Machine, main: number): CodeWriter {
  const code = new CodeWriter({ parameters: [wasm.I32, wasm.I32], results: [] });
  const [record, left] = [0, 1];
  const result = code.local(wasm.I64);
  const end = code.block();
  const loop = code.loop();
  code.get(left);
  code.op(wasm.I32_EQZ);
  code.branchIf(end);
  writeBeginning(code, machine, record);
  pushArguments(code, machine);
  code.i32(machine.stackEnd - STACK_FRAME_BYTES);
  code.get(record);
  code.call(main);
  code.set(result);
  code.get(record);
  code.get(result);
  code.memory(wasm.I64_STORE32, PACKET_VERDICT * 4); // of a run that has stopped it is 0, XDP_ABORTED
  storeResult(code, machine, result);
  code.get(record);
  code.i32(PACKET_RECORD_BYTES);
  code.op(wasm.I32_ADD);
  code.set(record);
  code.get(left);
  code.i32(1);
  code.op(wasm.I32_SUB);
  code.set(left);
  code.branch(loop);
  code.end();
  code.end();
  return code;
}

/** The exported function that goes on with the program for the current packet. */
export function writeEnter(machine: Machine, main: number): CodeWriter {
  const code = new CodeWriter({ parameters: [], results: [] });
  const result = code.local(wasm.I64);
  const { control } = machine;
  pushArguments(code, machine);
  code.i32(control + (CONTROL_REGISTERS + BPF_REG_FP * 2) * 4);
  code.memory(wasm.I32_LOAD, 0);
  code.i32(STACK_FRAME_BYTES);
  code.op(wasm.I32_SUB);
  code.i32(control + CONTROL_PACKET * 4);
  code.memory(wasm.I32_LOAD, 0);
  code.call(main);
  code.set(result);
  storeResult(code, machine, result);
  return code;
}

/** Register 1, the context, and 2 to 5. */
function pushArguments(code: CodeWriter, { context }: Machine): void {
  code.i64(context);
  for (let register = 2; register <= 5; register++) code.i64(0);
}

function storeResult(code: CodeWriter, { control }: Machine, result: number): void {
  code.i32(control + CONTROL_REGISTERS * 4);
  code.get(result);
  code.memory(wasm.I64_STORE, 0);
}

/** Sets context, control block and the rest of the record to their start. */
function writeBeginning(code: CodeWriter, { context, control, budget }: Machine, record: number): void {
  code.i32(context + CONTEXT_DATA);
  code.get(record);
  code.memory(wasm.V128_LOAD, PACKET_DATA_META * 4);
  code.get(record);
  code.memory(wasm.V128_LOAD, PACKET_INGRESS_IFINDEX * 4);
  code.shuffle(CONTEXT_ORDER);
  code.memory(wasm.V128_STORE, 0);
  code.i32(context + CONTEXT_RX_QUEUE_INDEX);
  code.get(record);
  code.memory(wasm.I64_LOAD, PACKET_RX_QUEUE_INDEX * 4); // and the interface that it leaves by
  code.memory(wasm.I64_STORE, 0);
  code.get(record);
  code.i32(0);
  code.op(wasm.I32X4_SPLAT);
  code.memory(wasm.V128_STORE, PACKET_FAULT * 4); // slot, map and target, too
  code.get(record);
  code.i32(0);
  code.memory(wasm.I32_STORE, PACKET_REDIRECT_FLAGS * 4);
  code.i32(control + CONTROL_PACKET * 4);
  code.get(record);
  code.memory(wasm.I32_STORE, 0);
  code.i32(control + CONTROL_BUDGET * 4);
  code.i32(budget);
  code.memory(wasm.I32_STORE, 0);
  code.i32(control + CONTROL_TAIL_CALLS * 4);
  code.i32(0);
  code.memory(wasm.I32_STORE, 0);
}
