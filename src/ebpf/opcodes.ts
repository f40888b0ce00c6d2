/*
 * The parts that operation codes are put together from, under the names that linux/bpf.h and linux/bpf_common.h give them
 * (RFC 9669, sections 3 to 5):
 *
 *     arithmetic and jumps   | operation 4 bits | source 1 bit | class 3 bits |       BPF_ALU64 | BPF_ADD | BPF_X
 *     loads and stores       | mode 3 bits      | size 2 bits  | class 3 bits |       BPF_LDX | BPF_MEM | BPF_W
 */

// Classes, and the mask that leaves the class.
/** Leaves the class of an operation code. */
export const BPF_CLASS_MASK = 0x07;
/** The class of the wide instruction alone; in classic BPF loads. */
export const BPF_LD = 0x00;
/** Loads into a register. */
export const BPF_LDX = 0x01;
/** Stores of an immediate. */
export const BPF_ST = 0x02;
/** Stores of a register, and atomic operations. */
export const BPF_STX = 0x03;
/** Arithmetic on the lower 32 bits, which clears the upper ones of the destination. */
export const BPF_ALU = 0x04;
/** Jumps that compare 64 bits. */
export const BPF_JMP = 0x05;
/** Jumps that compare the lower 32 bits. */
export const BPF_JMP32 = 0x06;
/** Arithmetic on 64 bits. */
export const BPF_ALU64 = 0x07;

// Second operand of arithmetic and jumps: the immediate, sign-extended, or the source register.
/** Leaves the source bit. */
export const BPF_SOURCE_MASK = 0x08;
/** The second operand is the immediate, sign-extended. */
export const BPF_K = 0x00;
/** The second operand is the source register. */
export const BPF_X = 0x08;

// Operations of arithmetic.
/** Leaves the operation of arithmetic and jumps. */
export const BPF_OPERATION_MASK = 0xf0;
/** Sum. */
export const BPF_ADD = 0x00;
/** Difference. */
export const BPF_SUB = 0x10;
/** Product, its lower half. */
export const BPF_MUL = 0x20;
/** Unsigned with offset 0, signed with offset 1. By zero: 0. */
export const BPF_DIV = 0x30;
/** Bitwise or. */
export const BPF_OR = 0x40;
/** Bitwise and. */
export const BPF_AND = 0x50;
/** Shift to the left. Of distances only as many bits count as the width has. */
export const BPF_LSH = 0x60;
/** Shift to the right, zeros come in. */
export const BPF_RSH = 0x70;
/** 0 less the destination. It has no second operand. */
export const BPF_NEG = 0x80;
/** Unsigned with offset 0, signed (truncating) with offset 1. By zero: the dividend. */
export const BPF_MOD = 0x90;
/** Bitwise exclusive or. */
export const BPF_XOR = 0xa0;
/** With offset 8, 16 or 32 sign-extending from so many bits. */
export const BPF_MOV = 0xb0;
/** Shift to the right, the sign comes in. */
export const BPF_ARSH = 0xc0;
/** Byte order; the immediate is the number of bits (16, 32, 64), the rest becomes 0. In BPF_ALU64 always a swap. */
export const BPF_END = 0xd0;

// The source bit of BPF_END in BPF_ALU.
/** To little-endian: nothing is swapped. */
export const BPF_TO_LE = 0x00;
/** To big-endian: bytes are swapped. */
export const BPF_TO_BE = 0x08;

// Operations of jumps.
/** The distance is the offset, in BPF_JMP32 the immediate. */
export const BPF_JA = 0x00;
/** Jump where both are equal. */
export const BPF_JEQ = 0x10;
/** Jump where the destination is above, unsigned. */
export const BPF_JGT = 0x20;
/** Jump where the destination is above or equal, unsigned. */
export const BPF_JGE = 0x30;
/** Jump where both have a bit in common. */
export const BPF_JSET = 0x40;
/** Jump where both differ. */
export const BPF_JNE = 0x50;
/** Jump where the destination is above, signed. */
export const BPF_JSGT = 0x60;
/** Jump where the destination is above or equal, signed. */
export const BPF_JSGE = 0x70;
/** Call: the source register says of what (BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL). */
export const BPF_CALL = 0x80;
/** Return to the caller, or the end of the program. */
export const BPF_EXIT = 0x90;
/** Jump where the destination is below, unsigned. */
export const BPF_JLT = 0xa0;
/** Jump where the destination is below or equal, unsigned. */
export const BPF_JLE = 0xb0;
/** Jump where the destination is below, signed. */
export const BPF_JSLT = 0xc0;
/** Jump where the destination is below or equal, signed. */
export const BPF_JSLE = 0xd0;
/** Of BPF_JMP with source 0: may_goto, a jump that Linux takes when a loop has run for long. Not in RFC 9669; the engine does not have it. */
export const BPF_JCOND = 0xe0;

// Sizes of memory accesses.
/** Leaves the size of a memory access. */
export const BPF_SIZE_MASK = 0x18;
/** 4 bytes. */
export const BPF_W = 0x00;
/** 2 bytes. */
export const BPF_H = 0x08;
/** 1 byte. */
export const BPF_B = 0x10;
/** 8 bytes. */
export const BPF_DW = 0x18;

// Modes of memory accesses.
/** Leaves the mode of a memory access. */
export const BPF_MODE_MASK = 0xe0;
/** Of BPF_LD with BPF_DW: the wide immediate. */
export const BPF_IMM = 0x00;
/** Packet access of classic BPF; XDP programs may not use it. */
export const BPF_ABS = 0x20;
/** Packet access of classic BPF; XDP programs may not use it. */
export const BPF_IND = 0x40;
/** A load that clears the bits above, or a store. */
export const BPF_MEM = 0x60;
/** A load that sign-extends. */
export const BPF_MEMSX = 0x80;
/** Of BPF_STX with BPF_W or BPF_DW; the immediate says which operation. */
export const BPF_ATOMIC = 0xc0;

// Immediates of atomic operations: BPF_ADD, BPF_OR, BPF_AND and BPF_XOR, each also with BPF_FETCH, and two more.
/** The source register receives what was in memory before. */
export const BPF_FETCH = 0x01;
/** Puts the source register into memory; it receives what was there. */
export const BPF_XCHG = 0xe1;
/** Compares with register 0, which receives what was in memory before. */
export const BPF_CMPXCHG = 0xf1;
/** An ordered load, of any size, from the source register's address. Not in RFC 9669; the engine does not have it. */
export const BPF_LOAD_ACQ = 0x100;
/** An ordered store, of any size. Not in RFC 9669; the engine does not have it. */
export const BPF_STORE_REL = 0x110;

/** The one wide instruction: two slots, a 64-bit immediate. */
export const BPF_LOAD_WIDE = BPF_LD | BPF_IMM | BPF_DW;

// Source registers of BPF_LOAD_WIDE: what the immediate means. 0 is a number.
/** File descriptor of a map; only in what is handed to Linux. */
export const BPF_PSEUDO_MAP_FD = 1;
/** File descriptor of a map, and in the second slot an offset in its first value; only in what is handed to Linux. */
export const BPF_PSEUDO_MAP_VALUE = 2;
/** Identifier of a variable of the kernel in its BTF; only in what is handed to Linux. */
export const BPF_PSEUDO_BTF_ID = 3;
/** Distance in slots to a subprogram that a helper is to call. */
export const BPF_PSEUDO_FUNC = 4;
/** Index in the program's list of maps. */
export const BPF_PSEUDO_MAP_IDX = 5;
/** Index in the program's list of maps, and in the second slot an offset in the map's first value. */
export const BPF_PSEUDO_MAP_IDX_VALUE = 6;

// Source registers of BPF_CALL: what the immediate means. 0 is the number of a helper.
/** Distance in slots to a subprogram. */
export const BPF_PSEUDO_CALL = 1;
/** A kernel function: BTF identifier in what is handed to Linux, index in the program's list of kernel functions here. */
export const BPF_PSEUDO_KFUNC_CALL = 2;

/** Registers: 0 the result, 1 to 5 arguments, 6 to 9 kept over calls, 10 the end of the stack frame. */
export const BPF_REGISTERS = 11;
/** The register that names the end of the stack frame. */
export const BPF_REG_FP = 10;
