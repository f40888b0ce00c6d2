/*
 * The parts that operation codes of classic BPF are put together from, under the names that linux/bpf_common.h and linux/filter.h
 * give them:
 *
 *     loads                  | mode 3 bits      | size 2 bits  | class 3 bits |       BPF_LD | BPF_H | BPF_ABS
 *     arithmetic and jumps   | operation 4 bits | source 1 bit | class 3 bits |       BPF_ALU | BPF_ADD | BPF_X
 */

// Classes.
export const BPF_LD = 0x00;
export const BPF_LDX = 0x01;
export const BPF_ST = 0x02;
export const BPF_STX = 0x03;
export const BPF_ALU = 0x04;
export const BPF_JMP = 0x05;
export const BPF_RET = 0x06;
export const BPF_MISC = 0x07;

// Sizes of loads: 4, 2 and 1 bytes, in network byte order.
export const BPF_W = 0x00;
export const BPF_H = 0x08;
export const BPF_B = 0x10;

// Modes of loads.
/** The value of the instruction itself. */
export const BPF_IMM = 0x00;
/** Packet bytes at the value. */
export const BPF_ABS = 0x20;
/** Packet bytes at the index register and the value. */
export const BPF_IND = 0x40;
/** A word of scratch memory. */
export const BPF_MEM = 0x60;
/** Bytes of the packet on the wire. */
export const BPF_LEN = 0x80;
/** Into the index register: four times the lower half of the byte at the value, which is how IPv4 counts its header. */
export const BPF_MSH = 0xa0;

// Operations of arithmetic.
export const BPF_ADD = 0x00;
export const BPF_SUB = 0x10;
export const BPF_MUL = 0x20;
export const BPF_DIV = 0x30;
export const BPF_OR = 0x40;
export const BPF_AND = 0x50;
export const BPF_LSH = 0x60;
export const BPF_RSH = 0x70;
export const BPF_NEG = 0x80;
export const BPF_MOD = 0x90;
export const BPF_XOR = 0xa0;

// Operations of jumps; comparisons are unsigned.
/** Always, by the value. */
export const BPF_JA = 0x00;
export const BPF_JEQ = 0x10;
export const BPF_JGT = 0x20;
export const BPF_JGE = 0x30;
export const BPF_JSET = 0x40;

// Second operand of arithmetic and jumps, and what a return returns.
export const BPF_K = 0x00;
export const BPF_X = 0x08;
/** Of BPF_RET: the accumulator. */
export const BPF_A = 0x10;

// Operations of BPF_MISC.
export const BPF_TAX = 0x00;
export const BPF_TXA = 0x80;

/** Words of scratch memory. */
export const BPF_MEMWORDS = 16;

/** Offsets of absolute loads from here on (SKF_AD_OFF) are no packet bytes: Linux answers them from what it knows beside the packet. */
export const SKF_AD_OFF = 0x100000000 - 0x1000;
/** What Linux knows beside the packet, to be added to {@link SKF_AD_OFF}. */
export const SKF_AD_PROTOCOL = 0;
export const SKF_AD_PKTTYPE = 4;
export const SKF_AD_IFINDEX = 8;
export const SKF_AD_VLAN_TAG = 44;
export const SKF_AD_VLAN_TAG_PRESENT = 48;
export const SKF_AD_VLAN_TPID = 60;
