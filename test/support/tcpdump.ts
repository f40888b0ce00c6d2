import { spawnSync } from 'node:child_process';
import type { ClassicInstruction } from '../../src/filter/classic/instruction.js';

/** Why filters cannot be compared with libpcap's here, or undefined where tcpdump is installed. */
export function whyNoTcpdump(): string | undefined {
  const { error } = spawnSync('tcpdump', ['--version'], { timeout: 10_000 });
  return error === undefined ? undefined : `tcpdump, which has libpcap's compiler, cannot be started: ${error.message}`;
}

/**
 * The program that libpcap makes of a filter expression for Ethernet.
 *
 * @param optimised as tcpdump uses it, or as it is before libpcap's optimiser
 * @returns undefined when libpcap refuses the expression, or finds that no packet can match
 */
export function libpcapProgram(expression: string, optimised = true): ClassicInstruction[] | undefined {
  const options = ['-ddd', '-y', 'EN10MB', ...(optimised ? [] : ['-O'])];
  const { status, stdout } = spawnSync('tcpdump', [...options, '--', expression], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  return status === 0 ? parseProgram(stdout) : undefined;
}

/** Reads what `tcpdump -ddd` prints: the number of instructions, and the four numbers of each. */
export function parseProgram(text: string): ClassicInstruction[] {
  const numbers = text.trim().split(/\s+/).map(Number);
  const program: ClassicInstruction[] = [];
  for (let at = 1; at < numbers.length; at += 4) {
    const [code, jumpTrue, jumpFalse, value] = numbers.slice(at, at + 4) as [number, number, number, number];
    program.push({ code, jumpTrue, jumpFalse, value });
  }
  return program;
}
