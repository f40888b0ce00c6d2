import type { Machine } from './machine.js';
import type { EbpfMap } from './maps/contract.js';
import type { BoundProgram } from './program.js';

/*
 * How programs run, whichever engine runs them. Interpreter and compiler do the same by these words:
 *
 * - A register has 64 bits. A pointer is an arena offset, zero-extended. At the start register 1 is the context, register 10 the end of
 *   the first stack frame; the others, and a frame's contents, are unspecified, as are registers 1 to 5 after a call. Each call gets the
 *   512 bytes below its caller's frame.
 * - A wide instruction that names a map loads its handle; one that names a map's value, the arena offset of its first value plus the
 *   offset given; one that names a subprogram, the subprogram's first slot.
 * - An access of n bytes at an address (64 bits, wrapping) is good when all n lie in the machine's program memory, or all in the packet,
 *   from its metadata to its end as the packet record has them at that moment; a write also has to leave the context alone. Any other stops
 *   the run with FAULT_MEMORY and changes nothing, and so does an atomic operation at an address that is no multiple of its size. What the
 *   verifier has found may make the check cheaper, but no engine relies on it.
 * - A run may execute `budget` instructions. A backward jump taken is charged the slots from its target to itself, both included; a call of
 *   a subprogram (by an instruction, or by a helper that calls back) all slots of the subprogram; a tail call all slots of the program.
 *   The run stops with FAULT_BUDGET at the one that would cost more than is left. Nothing else is charged: what lies ahead of a jump's
 *   target is bounded by its slots, so at most `budget` plus the length of the program is executed.
 * - A ninth frame stops the run with FAULT_CALL_DEPTH.
 * - A run that stops has the verdict XDP_ABORTED. What it had done to packet and maps stays.
 */

/** Bytes of a stack frame (MAX_BPF_STACK). */
export const STACK_FRAME_BYTES = 512;
/** Most frames at a time (MAX_CALL_FRAMES). */
export const MOST_CALL_FRAMES = 8;
/** Most tail calls of a run (MAX_TAIL_CALL_CNT). */
export const MOST_TAIL_CALLS = 33;
/** Instructions that a run may execute unless the machine was given another budget. */
export const DEFAULT_BUDGET = 2 ** 24;

// Verdicts (enum xdp_action in linux/bpf.h). A program that returns another number has the packet dropped, as with XDP_ABORTED.
/** Drop the packet: something is wrong with the program. */
export const XDP_ABORTED = 0;
/** Drop the packet. */
export const XDP_DROP = 1;
/** Hand the packet on to the stack. */
export const XDP_PASS = 2;
/** Send the packet out of the interface that it came from. */
export const XDP_TX = 3;
/** Send it to where a redirect helper has said. */
export const XDP_REDIRECT = 4;

// The context: struct xdp_md of linux/bpf.h, byte offsets. Programs load whole words of it and never store. The first three hold arena offsets.
/** The packet's first byte. */
export const CONTEXT_DATA = 0;
/** The byte after its last. */
export const CONTEXT_DATA_END = 4;
/** The first byte of its metadata; where the data is when there is none. */
export const CONTEXT_DATA_META = 8;
/** Index of the interface that it came in by. */
export const CONTEXT_INGRESS_IFINDEX = 12;
/** Number of the receive queue that it came in by. */
export const CONTEXT_RX_QUEUE_INDEX = 16;
/** Index of the interface that it leaves by, in programs of devmap entries. */
export const CONTEXT_EGRESS_IFINDEX = 20;
/** Bytes of the context. */
export const CONTEXT_BYTES = 24;

/*
 * The packet record: one for each packet of a run, in a row, wherever the caller likes in the arena except in program memory: programs must
 * not reach it. Words (32 bits, little-endian), here with their index from the record's start. The caller fills in the first eight and the
 * place of the hints, the run changes data, metadata and end as the program asks, and writes the others.
 */
/** Bytes of a packet record. */
export const PACKET_RECORD_BYTES = 64;
/** Arena offset of the first byte that the packet may grow to at its head. */
export const PACKET_FIRST = 0;
/** Arena offset of the metadata; where the data is when there is none. */
export const PACKET_DATA_META = 1;
/** Arena offset of the packet's first byte. */
export const PACKET_DATA = 2;
/** Arena offset of the byte after its last. */
export const PACKET_DATA_END = 3;
/** Arena offset of the byte after the last that it may grow to at its tail. */
export const PACKET_LIMIT = 4;
/** Index of the interface that the packet came in by. */
export const PACKET_INGRESS_IFINDEX = 5;
/** Number of the receive queue that it came in by. */
export const PACKET_RX_QUEUE_INDEX = 6;
/** Index of the interface that it leaves by, 0 on receiving. */
export const PACKET_EGRESS_IFINDEX = 7;
/** Lower 32 bits of what the program returned, or XDP_ABORTED. */
export const PACKET_VERDICT = 8;
/** One of FAULT_…; any but FAULT_NONE has stopped the run. */
export const PACKET_FAULT = 9;
/** Of a fault: slot of the instruction, in the program that was running (after tail calls another one). */
export const PACKET_FAULT_SLOT = 10;
/** Handle of the map that the last bpf_redirect_map named, 0 after bpf_redirect or when neither was called. */
export const PACKET_REDIRECT_MAP = 11;
/** Key in that map, or index of the interface. */
export const PACKET_REDIRECT_TARGET = 12;
/** Flags of the redirection, lower 32 bits. */
export const PACKET_REDIRECT_FLAGS = 13;

/** Arena offset of the packet's hints, 0 for none. Only helpers that read hints look there. */
export const PACKET_HINTS = 14;

/*
 * Hints: what a device says of a received packet beside its bytes (F11), for the kernel functions `bpf_xdp_metadata_rx_...`. Words, out of the
 * reach of programs as records are.
 */
/** Bytes of a packet's hints. */
export const HINTS_BYTES = 32;
/** Which of them there are: HINT_... */
export const HINTS_PRESENT = 0;
/** Hash over addresses and ports. */
export const HINTS_HASH = 1;
/** What the hash was made of (enum xdp_rss_hash_type in net/xdp.h). */
export const HINTS_HASH_TYPE = 2;
/** The outermost VLAN tag: its protocol (EtherType, a number) in the upper half, control information in the lower one. */
export const HINTS_VLAN = 3;
/** When it arrived: nanoseconds, two words, the lower half first. */
export const HINTS_TIME = 4;
/** Bits of {@link HINTS_PRESENT}. */
export const HINT_HASH = 1;
/** There is a time. */
export const HINT_TIME = 2;
/** There is a VLAN tag. */
export const HINT_VLAN = 4;

/** The run came to its end. */
export const FAULT_NONE = 0;
/** An access outside program memory and packet. */
export const FAULT_MEMORY = 1;
/** The budget is used up. */
export const FAULT_BUDGET = 2;
/** More than {@link MOST_CALL_FRAMES} calls within each other. */
export const FAULT_CALL_DEPTH = 3;

/*
 * The control block: what engines and helpers of a machine share about the run, in the arena where programs cannot reach it, words from
 * `machine.control`. 64-bit registers are two words, the lower half first.
 */
/** Registers 0 to 10, two words each. Before a helper the engine puts its arguments there, no others; it leaves the result in register 0. */
export const CONTROL_REGISTERS = 0;
/** Arena offset of the current packet's record. */
export const CONTROL_PACKET = 22;
/** Instructions left. */
export const CONTROL_BUDGET = 23;
/** Tail calls of this run so far. */
export const CONTROL_TAIL_CALLS = 24;
/** Number of the CPU that programs believe to run on. */
export const CONTROL_CPU = 25;
/** Bytes of the control block. */
export const CONTROL_BYTES = 128;

/**
 * A program ready to run on one machine. Making one refuses, with PROGRAM_REFUSED, what is no program at all: unknown operation codes or
 * registers, jumps out of it or into the middle of a wide instruction, an end to fall off, helpers that do not exist.
 */
export interface Executable {
  /** What was prepared. */
  readonly bound: BoundProgram<EbpfMap>;
  /**
   * Runs it on each of `count` packets. Nothing is thrown or allocated. Before each packet context, budget, fault, redirection and tail
   * calls are set to their start.
   *
   * @param records arena offset of the first packet record, a multiple of 64
   */
  run(records: number, count: number): void;
  /**
   * Goes on with it for the current packet, as a tail call does: the control block has the context in register 1, the end of the caller's
   * stack frame, which it takes over, in register 10, and what is left of the budget. Leaves the result in register 0, or a fault in the
   * packet's record.
   */
  enter(): void;
}

/** Makes executables: the interpreter, or the compiler. */
export interface Engine {
  /** Which engine it is, for messages. */
  readonly name: 'interpreter' | 'compiler';
  /** @throws PacketError PROGRAM_REFUSED */
  prepare(bound: BoundProgram<EbpfMap>, machine: Machine): Executable;
}
