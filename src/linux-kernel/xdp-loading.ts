import { encodeInstructions, type Instruction, SLOT_BYTES } from '../ebpf/instruction.js';
import { PacketError } from '../errors.js';
import { BPF_F_XDP_HAS_FRAGS, BPF_PROG_LOAD, BPF_PROG_TYPE_XDP, E2BIG } from './constants.js';
import { Struct } from './struct.js';
import { type Meanings, systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

/** What loading and attaching programs needs. */
export const CAPABILITIES = 'CAP_BPF and CAP_NET_ADMIN';

/** Most instructions of a program, and most that the verifier follows on all its ways (BPF_COMPLEXITY_LIMIT_INSNS in linux/bpf.h). */
export const MOST_EBPF_INSTRUCTIONS = 1_000_000;

/** The kernel compares this with its list of licences; the helpers used here ask for none in particular. */
const LICENCE = 'Dual MIT/GPL\0';

/** Room for what the verifier says, in bytes, and how many of its last lines a message gives. */
const LOG_BYTES = 2 ** 20;
const LOG_LINES = 4;

/** The limits of the verifier: instructions over all ways through the program, and jumps that it keeps in mind. */
const tooMany = {
  code: 'FLOW_TABLE_FULL',
  why: `the kernel's verifier follows at most ${MOST_EBPF_INSTRUCTIONS} instructions and 8192 jumps in a row`,
  remedy:
    "use fewer rules, with address prefixes and port ranges, or receive: 'all' and pick the packets in the program",
} as const;

/**
 * Loads an XDP program.
 *
 * @param segments whether it takes packets of several fragments (F9)
 * @returns its descriptor
 * @throws PacketError NO_PRIVILEGE, FLOW_TABLE_FULL (too many rules for one program), SYSTEM_CALL with the last lines of the verifier's log
 */
export function loadXdpProgram(calls: SystemCalls, program: readonly Instruction[], segments: boolean): number {
  if (program.length > MOST_EBPF_INSTRUCTIONS) {
    throw new PacketError(
      'FLOW_TABLE_FULL',
      `receive: the rules come to ${program.length} instructions, and an XDP program has at most ${MOST_EBPF_INSTRUCTIONS}`,
      { remedy: tooMany.remedy },
    );
  }
  const instructions = new Struct(program.length * SLOT_BYTES);
  instructions.bytes.set(encodeInstructions(program));
  const licence = new Struct(16).text(0, LICENCE);
  const attributes = new Struct(148)
    .u32(0, BPF_PROG_TYPE_XDP)
    .u32(4, program.length)
    .pointer(8, instructions, calls.address(instructions))
    .pointer(16, licence, calls.address(licence))
    .u32(44, segments ? BPF_F_XDP_HAS_FRAGS : 0)
    .text(48, 'tp4_redirect');
  const loaded = calls.bpf(BPF_PROG_LOAD, attributes);
  if (loaded >= 0) return loaded;
  // Once more for the reason: the log costs time, and before Linux 6.4 one that is too long fails a good program.
  const log = new Struct(LOG_BYTES);
  attributes.u32(24, 1).u32(28, log.length).pointer(32, log, calls.address(log));
  const again = calls.bpf(BPF_PROG_LOAD, attributes);
  if (again >= 0) return again; // what was short before (memory, say) is not any more
  const verdict = log.readText(0, log.length).trim().split('\n').slice(-LOG_LINES).join('\n');
  const what = verdict === '' ? 'load the XDP program' : `load the XDP program (the verifier says: ${verdict})`;
  const isTooMany = again === -E2BIG || verdict.includes('too complex');
  const meanings: Meanings = isTooMany ? { [-again]: tooMany } : {};
  throw systemCallError('bpf BPF_PROG_LOAD', -again, what, meanings, CAPABILITIES);
}
