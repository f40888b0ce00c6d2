import { type Program, sourceLineAt } from '../../ebpf/program.js';
import { type ErrorFacts, PacketError } from '../../errors.js';
import { errnoName } from '../system-call-error.js';
import { readVerifierLog } from './verifier-log.js';

/** A program that the Linux kernel does not let run (code PROGRAM_REFUSED), with all that its verifier has said. */
export class ProgramRefusal extends PacketError {
  /** Slot of the instruction that was refused; undefined where the kernel names none. */
  readonly slot: number | undefined;
  /** The whole log of the verifier, which may have many thousand lines; "" where it was not asked. */
  readonly log: string;

  /** @internal */
  constructor(message: string, slot: number | undefined, log: string, facts: ErrorFacts) {
    super('PROGRAM_REFUSED', message, facts);
    this.slot = slot;
    this.log = log;
  }
}

/** Longest part of the registers that a message shows. */
const MOST_REGISTERS = 240;

/**
 * The error for a program that BPF_PROG_LOAD refuses, with the verifier's reason.
 *
 * @param errno positive
 * @param log what the verifier has written
 */
export function programRefusal(program: Program, errno: number, log: string): ProgramRefusal {
  const { slot, instruction, registers, reason } = readVerifierLog(log);
  const line = slot === undefined ? undefined : sourceLineAt(program, slot);
  const text = line?.text === undefined || line.text === '' ? '' : ` "${line.text.trim()}"`;
  const parts = [
    `load the program ${program.name}: the kernel's verifier refuses`,
    slot === undefined ? 'it' : `slot ${slot}${instruction === undefined ? '' : ` (${instruction})`}`,
    line === undefined ? '' : `of ${line.file}:${line.line}${text}`,
  ];
  const where = parts.filter((part) => part !== '').join(' ');
  const state = registers === undefined ? '' : `; registers: ${shorten(registers)}`;
  return new ProgramRefusal(`${where}: ${reason}${state} (bpf BPF_PROG_LOAD: ${errnoName(errno)})`, slot, log, {
    syscall: 'bpf BPF_PROG_LOAD',
    errno,
    remedy: "change the program there; the error's `log` has all that the verifier says",
  });
}

function shorten(registers: string): string {
  return registers.length <= MOST_REGISTERS ? registers : `${registers.slice(0, MOST_REGISTERS)}...`;
}
