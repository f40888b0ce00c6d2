import { PacketError } from '../errors.js';
import { BPF_LOAD_WIDE } from './opcodes.js';

/** Bytes of a slot. */
export const SLOT_BYTES = 8;

/**
 * One slot of a program (struct bpf_insn in linux/bpf.h; RFC 9669, section 3). A program is an array of them, so that an index is a
 * slot, and distances of jumps and calls are those of the wire. The wide instruction is two: the second has operation code 0 and
 * carries the upper half of the immediate.
 */
export interface Instruction {
  /** Operation code, 0 to 255: see opcodes.ts. */
  readonly opcode: number;
  /** Register, 0 to 15; 0 to 10 exist. */
  readonly destination: number;
  /** Register, 0 to 15, or what an immediate means (BPF_PSEUDO_…). */
  readonly source: number;
  /** Of memory accesses in bytes, of jumps in slots from the next one; -32768 to 32767. */
  readonly offset: number;
  /** Signed 32 bits. */
  readonly immediate: number;
}

/** Makes an instruction. What is left out is 0; an immediate may also be given as unsigned 32 bits. */
export function instruction(opcode: number, parts: Partial<Omit<Instruction, 'opcode'>> = {}): Instruction {
  const { destination = 0, source = 0, offset = 0, immediate = 0 } = parts;
  return { opcode, destination, source, offset, immediate: immediate | 0 };
}

/** The two slots of a wide instruction; `immediate` modulo 2^64. */
export function wideInstruction(destination: number, immediate: bigint, source = 0): [Instruction, Instruction] {
  return [
    instruction(BPF_LOAD_WIDE, { destination, source, immediate: Number(BigInt.asIntN(32, immediate)) }),
    instruction(0, { immediate: Number(BigInt.asIntN(32, immediate >> 32n)) }),
  ];
}

/** Whether the slot begins a wide instruction; then the next one is its second half and no place to jump to. */
export function isWide({ opcode }: Instruction): boolean {
  return opcode === BPF_LOAD_WIDE;
}

/** The 64-bit immediate of the wide instruction in a slot, unsigned. A missing second slot counts as 0. */
export function wideImmediate(instructions: readonly Instruction[], slot: number): bigint {
  const low = BigInt.asUintN(32, BigInt(instructions[slot]!.immediate));
  return low | (BigInt.asUintN(32, BigInt(instructions[slot + 1]?.immediate ?? 0)) << 32n);
}

/**
 * Reads slots, little-endian. Any bytes are slots: whether they make a program is for the verifier to say.
 *
 * @throws PacketError PROGRAM_CORRUPT unless the bytes are whole slots
 */
export function decodeInstructions(bytes: Uint8Array): Instruction[] {
  if (bytes.length % SLOT_BYTES !== 0) {
    throw new PacketError('PROGRAM_CORRUPT', `${bytes.length} bytes are no whole number of eBPF instructions`, {
      remedy: `give all of the program's bytes: each instruction has ${SLOT_BYTES}`,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const instructions: Instruction[] = [];
  for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
    const registers = view.getUint8(at + 1);
    instructions.push({
      opcode: view.getUint8(at),
      destination: registers & 0x0f,
      source: registers >> 4,
      offset: view.getInt16(at + 2, true),
      immediate: view.getInt32(at + 4, true),
    });
  }
  return instructions;
}

/** Writes slots, little-endian, as Linux on such machines reads them. */
export function encodeInstructions(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * SLOT_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [slot, { opcode, destination, source, offset, immediate }] of instructions.entries()) {
    const at = slot * SLOT_BYTES;
    view.setUint8(at, opcode);
    view.setUint8(at + 1, destination | (source << 4));
    view.setInt16(at + 2, offset, true);
    view.setInt32(at + 4, immediate, true);
  }
  return bytes;
}
