import type { ClassicInstruction } from './instruction.js';
import { BPF_JA, BPF_JMP } from './opcodes.js';

const JUMP = BPF_JMP | BPF_JA;
/** Furthest that a conditional jump reaches. */
const LONGEST_JUMP = 255;

/** A place in a program under construction; a number of its own. */
export type Label = number;

/** An instruction whose jumps are still labels; undefined is the next instruction. A plain jump goes to `yes`. */
export interface Draft {
  readonly code: number;
  readonly value: number;
  readonly jump?: { readonly yes: Label | undefined; readonly no: Label | undefined };
}

/**
 * Resolves labels. A conditional jump too far for its byte goes over a plain jump behind it, which reaches anywhere. The program may come
 * out longer than the kernel takes: that is the caller's to check.
 *
 * @param places index of the draft that each label stands before
 */
export function linkClassicProgram(drafts: readonly Draft[], places: ReadonlyMap<Label, number>): ClassicInstruction[] {
  const yesIsFar = new Uint8Array(drafts.length);
  const noIsFar = new Uint8Array(drafts.length);
  const starts = new Array<number>(drafts.length + 1).fill(0);
  const place = (): void => {
    for (let i = 0; i < drafts.length; i++) starts[i + 1] = starts[i]! + 1 + yesIsFar[i]! + noIsFar[i]!;
  };
  // From the instruction behind a draft, without the plain jumps that may follow it.
  const distance = (from: number, label: Label | undefined): number =>
    (label === undefined ? starts[from + 1]! : starts[places.get(label)!]!) - starts[from]! - 1;
  place();
  // Each far jump lengthens others: until none changes any more.
  for (let changed = true; changed; place()) {
    changed = false;
    for (const [index, { code, jump }] of drafts.entries()) {
      if (jump === undefined || code === JUMP) continue;
      if (yesIsFar[index] === 0 && distance(index, jump.yes) > LONGEST_JUMP) {
        yesIsFar[index] = 1;
        changed = true;
      }
      if (noIsFar[index] === 0 && distance(index, jump.no) > LONGEST_JUMP) {
        noIsFar[index] = 1;
        changed = true;
      }
    }
  }
  const program: ClassicInstruction[] = [];
  for (const [index, { code, value, jump }] of drafts.entries()) {
    if (jump === undefined) {
      program.push({ code, jumpTrue: 0, jumpFalse: 0, value });
      continue;
    }
    const yes = distance(index, jump.yes);
    if (code === JUMP) {
      program.push({ code, jumpTrue: 0, jumpFalse: 0, value: yes });
      continue;
    }
    const no = distance(index, jump.no);
    // The jump of `yes` comes first, then that of `no`.
    const far = yesIsFar[index]!;
    program.push({ code, jumpTrue: far === 1 ? 0 : yes, jumpFalse: noIsFar[index] === 1 ? far : no, value });
    if (far === 1) program.push({ code: JUMP, jumpTrue: 0, jumpFalse: 0, value: yes - 1 });
    if (noIsFar[index] === 1) program.push({ code: JUMP, jumpTrue: 0, jumpFalse: 0, value: no - 1 - far });
  }
  return program;
}
