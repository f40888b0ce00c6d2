/** What the kernel's verifier says of a program that it refuses. */
export interface VerifierVerdict {
  /** Slot of the instruction that it refused; undefined where it names none. */
  readonly slot: number | undefined;
  /** The instruction as the kernel writes it: "r0 = *(u8 *)(r2 +14)". */
  readonly instruction: string | undefined;
  /** The registers before or after it, as far as the verifier tells: "R1=ctx() R2_w=pkt(r=0)". */
  readonly registers: string | undefined;
  /** Why, in its words. */
  readonly reason: string;
}

/** "5: (71) r0 = *(u8 *)(r2 +14)          ; R0_w=scalar() R2_w=pkt(r=0)" */
const INSTRUCTION = /^\s*(\d+): \([0-9a-f]{2}\) (.*?)\s*(?:;\s*(.*))?$/;
/** "5: R1=ctx() R10=fp0", "from 3 to 5: R0=...", and of older kernels " R1=ctx(id=0,off=0,imm=0)". */
const STATE = /^\s*(?:\d+:|from \d+ to \d+(?: \([^)]*\))?:)?\s*(?:frame\d+:\s*)?(R\d+(?:_\w+)?=.*)$/;
/** What says nothing about the reason: lines of source, figures, functions, the way that was taken back. */
const NOISE =
  /^;|^processed \d+ insns|^verification time|^stack depth|^func#\d+ @|^mark_precise:|^(?:caller|callee):|^arg#\d+ /;
/** What messages about the shape of a program call a slot. */
const SLOT = /\binsn (?:#|idx )?(\d+)|^(?:insn|at) (\d+)/;

/**
 * Reads the verifier's log. Its lines are no interface of the kernel: what is not understood is the reason.
 *
 * @param log as bpf(2) wrote it, the instructions on the way to the refused one, and behind them the reason
 */
export function readVerifierLog(log: string): VerifierVerdict {
  let slot: number | undefined;
  let instruction: string | undefined;
  let registers: string | undefined;
  let reason: string[] = [];
  for (const line of log.split('\n')) {
    const executed = INSTRUCTION.exec(line);
    const state = executed?.[3] ?? STATE.exec(line)?.[1];
    if (state !== undefined) registers = state.trim();
    if (executed !== null) {
      slot = Number(executed[1]);
      instruction = executed[2];
    }
    if (executed !== null || state !== undefined) reason = [];
    else if (line.trim() !== '' && !NOISE.test(line)) reason.push(line.trim());
  }
  const text = reason.slice(-MOST_REASONS).join('; ');
  if (slot === undefined) {
    const named = SLOT.exec(text);
    const number = named?.[1] ?? named?.[2];
    if (number !== undefined) slot = Number(number);
  }
  return { slot, instruction, registers, reason: text };
}

/** Lines that a reason may have. */
const MOST_REASONS = 3;
