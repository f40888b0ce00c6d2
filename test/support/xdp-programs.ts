import { createProgram } from '../../src/ebpf/create-program.js';
import { CONTEXT_DATA, CONTEXT_DATA_END, CONTEXT_RX_QUEUE_INDEX, XDP_PASS } from '../../src/ebpf/execution.js';
import { type Instruction, instruction, wideInstruction } from '../../src/ebpf/instruction.js';
import type { MapDefinition, MapType } from '../../src/ebpf/maps/contract.js';
import {
  BPF_ADD,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_B,
  BPF_CALL,
  BPF_DW,
  BPF_EXIT,
  BPF_JEQ,
  BPF_JGT,
  BPF_JMP,
  BPF_K,
  BPF_LDX,
  BPF_MEM,
  BPF_MOV,
  BPF_PSEUDO_MAP_IDX,
  BPF_ST,
  BPF_STX,
  BPF_W,
  BPF_X,
} from '../../src/ebpf/opcodes.js';
import type { Program } from '../../src/ebpf/program.js';

// XDP programs that tests attach, in instructions.

const MOVE = BPF_ALU64 | BPF_MOV;
const CALL = BPF_JMP | BPF_CALL;
const exit = instruction(BPF_JMP | BPF_EXIT);
const mapAddress = (destination: number, map: number): Instruction[] =>
  wideInstruction(destination, BigInt(map), BPF_PSEUDO_MAP_IDX);

/** Numbers of helpers (enum bpf_func_id). */
const MAP_LOOKUP_ELEM = 1;
const TAIL_CALL = 12;
const REDIRECT_MAP = 51;
const RINGBUF_OUTPUT = 130;

/** A map of values of 8 bytes, under keys of 4; of what names something else 4 bytes. */
export function mapOf(type: MapType, name: string, maxEntries = 4, parts: Partial<MapDefinition> = {}): MapDefinition {
  const names: readonly MapType[] = ['prog_array', 'devmap', 'devmap_hash', 'cpumap', 'xskmap', 'array_of_maps'];
  return { name, type, keySize: 4, valueSize: names.includes(type) ? 4 : 8, maxEntries, flags: 0, ...parts };
}

/** 32 or 64 bits, little-endian. */
export function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
export function doubleWord(value: number | bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

/** Reads a value of 64 bits. */
export function number(value: Uint8Array | undefined): number {
  if (value === undefined) throw new Error('no value');
  return Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0, true));
}

/** Returns a verdict. */
export function verdictProgram(verdict: number, parts: Partial<Program> = {}): Program {
  return createProgram([instruction(MOVE, { immediate: verdict }), exit], parts);
}

/** Adds 1 to a value of 64 bits in an array, and returns a verdict. */
export function countingProgram(
  map: MapDefinition,
  verdict: number,
  parts: Partial<Program> & { index?: number } = {},
) {
  const { index = 0, ...others } = parts;
  const code = [
    instruction(BPF_ST | BPF_MEM | BPF_W, { destination: 10, offset: -4, immediate: index }),
    ...mapAddress(1, 0),
    instruction(MOVE | BPF_X, { destination: 2, source: 10 }),
    instruction(BPF_ALU64 | BPF_ADD | BPF_K, { destination: 2, immediate: -4 }),
    instruction(CALL, { immediate: MAP_LOOKUP_ELEM }),
    instruction(BPF_JMP | BPF_JEQ, { destination: 0, offset: 2 }),
    instruction(MOVE, { destination: 1, immediate: 1 }),
    instruction(BPF_STX | BPF_ATOMIC | BPF_DW, { destination: 0, source: 1, immediate: BPF_ADD }),
    instruction(MOVE, { immediate: verdict }),
    exit,
  ];
  return createProgram(code, { maps: [map], ...others });
}

/** Redirects to the entry of a map that has the number of the queue, or a fixed one; without it to the stack. */
export function redirectProgram(map: MapDefinition, parts: Partial<Program> & { entry?: number } = {}): Program {
  const { entry, ...others } = parts;
  const code = [
    entry === undefined
      ? instruction(BPF_LDX | BPF_MEM | BPF_W, { destination: 2, source: 1, offset: CONTEXT_RX_QUEUE_INDEX })
      : instruction(MOVE, { destination: 2, immediate: entry }),
    ...mapAddress(1, 0),
    instruction(MOVE, { destination: 3, immediate: XDP_PASS }),
    instruction(CALL, { immediate: REDIRECT_MAP }),
    exit,
  ];
  return createProgram(code, { maps: [map], ...others });
}

/** Goes on with a program of an array, or returns a verdict when there is none. */
export function tailCallProgram(
  map: MapDefinition,
  entry: number,
  verdict: number,
  parts: Partial<Program> = {},
): Program {
  const code = [
    ...mapAddress(2, 0),
    instruction(MOVE, { destination: 3, immediate: entry }),
    instruction(CALL, { immediate: TAIL_CALL }),
    instruction(MOVE, { immediate: verdict }),
    exit,
  ];
  return createProgram(code, { maps: [map], ...parts });
}

/** Puts a record with the first 14 bytes of the packet into a ring buffer, and returns a verdict. */
export function recordingProgram(map: MapDefinition, verdict: number, parts: Partial<Program> = {}): Program {
  const code = [
    instruction(BPF_LDX | BPF_MEM | BPF_W, { destination: 2, source: 1, offset: CONTEXT_DATA }),
    instruction(BPF_LDX | BPF_MEM | BPF_W, { destination: 3, source: 1, offset: CONTEXT_DATA_END }),
    instruction(MOVE | BPF_X, { destination: 4, source: 2 }),
    instruction(BPF_ALU64 | BPF_ADD | BPF_K, { destination: 4, immediate: 14 }),
    instruction(BPF_JMP | BPF_JGT | BPF_X, { destination: 4, source: 3, offset: 5 }),
    ...mapAddress(1, 0),
    instruction(MOVE, { destination: 3, immediate: 14 }),
    instruction(MOVE, { destination: 4, immediate: 0 }),
    instruction(CALL, { immediate: RINGBUF_OUTPUT }),
    instruction(MOVE, { immediate: verdict }),
    exit,
  ];
  return createProgram(code, { maps: [map], ...parts });
}

/** Reads the first byte of the packet without a look at its end, in slot 1: Linux refuses it. */
export function uncheckedProgram(parts: Partial<Program> = {}): Program {
  const code = [
    instruction(BPF_LDX | BPF_MEM | BPF_W, { destination: 2, source: 1, offset: CONTEXT_DATA }),
    instruction(BPF_LDX | BPF_MEM | BPF_B, { destination: 0, source: 2 }),
    exit,
  ];
  return createProgram(code, parts);
}
