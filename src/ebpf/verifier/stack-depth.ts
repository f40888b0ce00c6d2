import { MOST_CALL_FRAMES, STACK_FRAME_BYTES } from '../execution.js';
import type { HelperTable } from '../helpers/contract.js';
import { isWide } from '../instruction.js';
import { BPF_CALL, BPF_JMP, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC } from '../opcodes.js';
import type { Program } from '../program.js';
import { refusal } from './walk.js';

/** Bytes of stack of callers that a subprogram with tail calls may have, so that chains of them end within the kernel's own stack. */
const MOST_BEFORE_TAIL_CALL = 256;
const ROUNDED_TO = 16;

/**
 * Adds up the stack of each chain of calls. Linux has one stack of 512 bytes for all frames of a program, and 256 for callers of
 * subprograms that make tail calls.
 *
 * @param bytes by first slot of a subprogram
 * @returns bytes of the deepest chain
 * @throws PacketError PROGRAM_REFUSED for a chain that is too deep, as each is that comes back to where it was
 */
export function checkStackDepth(program: Program, helpers: HelperTable, bytes: ReadonlyMap<number, number>): number {
  const calls = program.subprograms.map(({ start, end }) => callsOf(program, helpers, start, end));
  const indices = new Map(program.subprograms.map(({ start }, index) => [start, index]));
  let deepest = 0;
  /** By index of a subprogram: most bytes in the frames above its own, over all chains of one length. */
  let level = new Map([[0, 0]]);
  for (let frames = 1; level.size > 0; frames++) {
    const next = new Map<number, number>();
    for (const [index, before] of level) {
      const { start, name } = program.subprograms[index]!;
      const { called, tail } = calls[index]!;
      if (frames > MOST_CALL_FRAMES) {
        throw refusal(
          program,
          `calls down to subprogram ${name} have more than ${MOST_CALL_FRAMES} frames, or never end`,
        );
      }
      if (tail && frames > 1 && before >= MOST_BEFORE_TAIL_CALL) {
        throw refusal(
          program,
          `subprogram ${name} makes tail calls, and its callers use ${before} bytes of stack; ${MOST_BEFORE_TAIL_CALL} are too many`,
        );
      }
      const after = before + roundedUp(bytes.get(start) ?? 0);
      if (after > STACK_FRAME_BYTES) {
        throw refusal(
          program,
          `calls down to subprogram ${name} use ${after} bytes of stack, and all frames together have ${STACK_FRAME_BYTES}`,
        );
      }
      deepest = Math.max(deepest, after);
      for (const target of called) {
        const place = indices.get(target)!;
        next.set(place, Math.max(next.get(place) ?? 0, after));
      }
    }
    level = next;
  }
  return deepest;
}

function roundedUp(bytes: number): number {
  return Math.ceil(bytes / ROUNDED_TO) * ROUNDED_TO;
}

function callsOf(
  { instructions }: Program,
  helpers: HelperTable,
  start: number,
  end: number,
): { called: Set<number>; tail: boolean } {
  const called = new Set<number>();
  let tail = false;
  for (let slot = start; slot < end; slot++) {
    const { opcode, source, immediate } = instructions[slot]!;
    const wide = isWide(instructions[slot]!);
    if (wide ? source === BPF_PSEUDO_FUNC : opcode === (BPF_JMP | BPF_CALL) && source === BPF_PSEUDO_CALL) {
      called.add(slot + 1 + immediate);
    }
    if (opcode === (BPF_JMP | BPF_CALL) && source === 0 && helpers.byNumber(immediate)?.name === 'tail_call')
      tail = true;
    if (wide) slot++;
  }
  return { called, tail };
}
