/*
 * Registers of a classic program that has become eBPF. They are those of the steering programs that it stands in.
 */

export const ACCUMULATOR = 0;
/** struct xdp_md, which the code around has left there. */
export const CONTEXT = 1;
/** The packet's first byte and the index register's bytes: what indirect loads begin at. */
export const POINTER = 2;
export const PLACE = 3;
export const INDEX = 4;
export const LIMIT = 5;
/** The packet's first byte, which the code around has left there. */
export const PACKET = 6;
/** Behind its last one, the same. */
export const PACKET_END = 8;
export const STACK = 10;

/** Where the first word of the classic program's scratch memory lies, from the end of the stack frame: behind the 16 of steering. */
export const SCRATCH_OFFSET = -128;
