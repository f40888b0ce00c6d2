import { PacketError } from '../../errors.js';

/** One instruction of classic BPF (struct sock_filter in linux/filter.h); jumps count from the next instruction. */
export interface ClassicInstruction {
  /** Operation code: see opcodes.ts. */
  readonly code: number;
  /** 0 to 255. */
  readonly jumpTrue: number;
  /** 0 to 255. */
  readonly jumpFalse: number;
  /** 0 to 2^32 - 1. */
  readonly value: number;
}

/** Most instructions of a classic program (BPF_MAXINSNS in linux/bpf_common.h). */
export const MOST_CLASSIC_INSTRUCTIONS = 4096;
/** Bytes of an instruction in memory. */
export const CLASSIC_INSTRUCTION_BYTES = 8;

/** The program as the kernel reads it, in this machine's byte order, which is little-endian. */
export function encodeClassicProgram(program: readonly ClassicInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * CLASSIC_INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, jumpTrue, jumpFalse, value }] of program.entries()) {
    const at = index * CLASSIC_INSTRUCTION_BYTES;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, jumpTrue);
    view.setUint8(at + 3, jumpFalse);
    view.setUint32(at + 4, value, true);
  }
  return bytes;
}

/**
 * Reads what {@link encodeClassicProgram} writes. Whether it makes a program is for `checkClassicProgram` to say.
 *
 * @throws PacketError FILTER_CORRUPT unless the bytes are whole instructions
 */
export function decodeClassicProgram(bytes: Uint8Array): ClassicInstruction[] {
  if (bytes.length % CLASSIC_INSTRUCTION_BYTES !== 0) {
    throw new PacketError('FILTER_CORRUPT', `${bytes.length} bytes are no whole number of classic BPF instructions`, {
      remedy: `give all of the program's bytes: each instruction has ${CLASSIC_INSTRUCTION_BYTES}`,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const program: ClassicInstruction[] = [];
  for (let at = 0; at < bytes.length; at += CLASSIC_INSTRUCTION_BYTES) {
    program.push({
      code: view.getUint16(at, true),
      jumpTrue: view.getUint8(at + 2),
      jumpFalse: view.getUint8(at + 3),
      value: view.getUint32(at + 4, true),
    });
  }
  return program;
}
