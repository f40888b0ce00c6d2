/** One instruction of eBPF (struct bpf_insn in linux/bpf.h). */
export interface EbpfInstruction {
  readonly code: number;
  readonly destination: number;
  readonly source: number;
  /** Of memory accesses in bytes; of jumps in instructions from the next one. -32768 to 32767. */
  readonly offset: number;
  /** Signed or unsigned 32 bits. */
  readonly immediate: number;
}

/** Bytes of an instruction in memory. */
export const EBPF_INSTRUCTION_BYTES = 8;
/** Furthest that a jump reaches. */
export const LONGEST_EBPF_JUMP = 0x7fff;

// Operation codes (linux/bpf.h, linux/bpf_common.h). Names end in 32 where the operation is on 32 bits, which clears the upper ones.
export const EBPF_LOAD = { 1: 0x71, 2: 0x69, 4: 0x61 } as const;
export const EBPF_STORE_WORD = 0x63;
export const EBPF_LOAD_WIDE = 0x18;
export const EBPF_MOVE = 0xbf;
export const EBPF_MOVE_IMMEDIATE = 0xb7;
export const EBPF_MOVE_IMMEDIATE_32 = 0xb4;
export const EBPF_ADD = 0x0f;
export const EBPF_ADD_IMMEDIATE = 0x07;
export const EBPF_AND_IMMEDIATE_32 = 0x54;
export const EBPF_OR_IMMEDIATE_32 = 0x44;
export const EBPF_ADD_IMMEDIATE_32 = 0x04;
export const EBPF_SHIFT_LEFT_IMMEDIATE_32 = 0x64;
/** From network byte order; the immediate is the number of bits. */
export const EBPF_TO_BIG_ENDIAN = 0xdc;
export const EBPF_JUMP = 0x05;
export const EBPF_JUMP_GREATER = 0x2d;
export const EBPF_JUMP_EQUAL_32 = 0x16;
export const EBPF_JUMP_NOT_EQUAL_32 = 0x56;
export const EBPF_JUMP_AT_LEAST_32 = 0x36;
export const EBPF_JUMP_LESS_32 = 0xa6;
export const EBPF_CALL = 0x85;
export const EBPF_EXIT = 0x95;

export function ebpf(
  code: number,
  { destination = 0, source = 0, offset = 0, immediate = 0 }: Partial<Omit<EbpfInstruction, 'code'>> = {},
): EbpfInstruction {
  return { code, destination, source, offset, immediate };
}

/** The program as the kernel reads it, in this machine's byte order, which is little-endian. */
export function encodeEbpf(program: readonly EbpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * EBPF_INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, destination, source, offset, immediate }] of program.entries()) {
    const at = index * EBPF_INSTRUCTION_BYTES;
    view.setUint8(at, code);
    view.setUint8(at + 1, destination | (source << 4));
    view.setInt16(at + 2, offset, true);
    view.setInt32(at + 4, immediate, true);
  }
  return bytes;
}
