import { Arena } from '../../src/arena/arena.js';
import { createProgram } from '../../src/ebpf/create-program.js';
import {
  CONTROL_REGISTERS,
  type Engine,
  type Executable,
  PACKET_DATA,
  PACKET_DATA_END,
  PACKET_DATA_META,
  PACKET_FAULT,
  PACKET_FAULT_SLOT,
  PACKET_FIRST,
  PACKET_HINTS,
  PACKET_LIMIT,
  PACKET_REDIRECT_FLAGS,
  PACKET_REDIRECT_MAP,
  PACKET_REDIRECT_TARGET,
  PACKET_VERDICT,
} from '../../src/ebpf/execution.js';
import { XDP_HELPERS } from '../../src/ebpf/helpers/xdp-helpers.js';
import type { Instruction } from '../../src/ebpf/instruction.js';
import { interpreter } from '../../src/ebpf/interpreter/interpreter.js';
import { Machine, type MachineOptions } from '../../src/ebpf/machine.js';
import type { EbpfMap } from '../../src/ebpf/maps/contract.js';

/** Bytes that a packet can grow by at its head, and at its tail. */
export const HEADROOM = 256;
export const TAILROOM = 128;
const RECORD_OFFSET = 64;

/** What a run has left. */
export interface RunResult {
  readonly verdict: number;
  /** Register 0, unsigned. */
  readonly result: bigint;
  readonly fault: number;
  readonly faultSlot: number;
  readonly metadata: Uint8Array;
  readonly packet: Uint8Array;
  readonly redirect: { readonly map: number; readonly target: number; readonly flags: number };
}

/** Runs programs on packets of one's choice, one at a time; in the interpreter unless another engine is given. */
export class EbpfRuns {
  readonly arena: Arena;
  readonly machine: Machine;
  /** Page of the record and, apart from it, where packets lie. */
  readonly record: number;
  readonly packets: number;

  readonly #engine: Engine;

  constructor(options: Partial<MachineOptions> & { engine?: Engine } = {}, arenaBytes: number = 2 ** 20) {
    const { engine = interpreter, ...machineOptions } = options;
    this.#engine = engine;
    this.arena = Arena.create(arenaBytes);
    this.machine = new Machine(this.arena, { helpers: XDP_HELPERS, bytes: 2 ** 17, ...machineOptions });
    this.record = this.arena.allocate(4096).offset + RECORD_OFFSET;
    this.packets = this.arena.allocate(8192).offset;
  }

  prepare(instructions: readonly Instruction[], maps: readonly EbpfMap[] = []): Executable {
    const program = createProgram(instructions, { maps: maps.map(({ definition }) => definition) });
    return this.#engine.prepare({ program, maps }, this.machine);
  }

  /** @param hints arena offset of the packet's hints */
  run(executable: Executable, packet: Uint8Array = new Uint8Array(64), hints = 0): RunResult {
    const { i32, u8 } = this.arena;
    const words = this.record >> 2;
    const data = this.packets + HEADROOM;
    u8.set(packet, data);
    i32.fill(0, words, words + 16);
    i32[words + PACKET_FIRST] = this.packets;
    i32[words + PACKET_DATA_META] = data;
    i32[words + PACKET_DATA] = data;
    i32[words + PACKET_DATA_END] = data + packet.length;
    i32[words + PACKET_LIMIT] = data + packet.length + TAILROOM;
    i32[words + PACKET_HINTS] = hints;
    executable.run(this.record, 1);
    const word = (index: number) => i32[words + index]!;
    const registers = (this.machine.control >> 2) + CONTROL_REGISTERS;
    return {
      verdict: word(PACKET_VERDICT),
      result: BigInt.asUintN(32, BigInt(i32[registers]!)) | (BigInt.asUintN(32, BigInt(i32[registers + 1]!)) << 32n),
      fault: word(PACKET_FAULT),
      faultSlot: word(PACKET_FAULT_SLOT),
      metadata: u8.slice(word(PACKET_DATA_META), word(PACKET_DATA)),
      packet: u8.slice(word(PACKET_DATA), word(PACKET_DATA_END)),
      redirect: {
        map: word(PACKET_REDIRECT_MAP),
        target: word(PACKET_REDIRECT_TARGET),
        flags: word(PACKET_REDIRECT_FLAGS),
      },
    };
  }

  /** Prepares and runs instructions once. */
  result(instructions: readonly Instruction[], maps: readonly EbpfMap[] = [], packet?: Uint8Array): RunResult {
    return this.run(this.prepare(instructions, maps), packet);
  }
}
