import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import type { ClassicInstruction } from '../../src/filter/classic/instruction.js';

const TIMEOUT = { timeout: 10_000 } as const;
/** Processes at a time. */
const AT_ONCE = 4;

/** Why filters cannot be compared with libpcap's here, or false where tcpdump is installed. */
export function whyNoTcpdump(): string | false {
  const { error } = spawnSync('tcpdump', ['--version'], TIMEOUT);
  return error === undefined ? false : `tcpdump, which has libpcap's compiler, cannot be started: ${error.message}`;
}

/** `-ddd` prints numbers, `-d` the notation for people; `-O` leaves out libpcap's optimiser. */
export type TcpdumpOption = '-ddd' | '-d' | '-O';

/**
 * What tcpdump prints of the program that libpcap makes of a filter expression for Ethernet.
 *
 * @returns undefined when libpcap refuses the expression, or finds that no packet can match
 */
export function tcpdump(expression: string, ...options: readonly TcpdumpOption[]): string | undefined {
  const { status, stdout } = spawnSync('tcpdump', argumentsOf(expression, options), { encoding: 'utf8', ...TIMEOUT });
  return status === 0 ? stdout : undefined;
}

/** {@link tcpdump} for many expressions, in their order. */
export async function tcpdumpEach(
  expressions: readonly string[],
  ...options: readonly TcpdumpOption[]
): Promise<(string | undefined)[]> {
  const printed: (string | undefined)[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < expressions.length) {
      const index = next++;
      const command = promisify(execFile)('tcpdump', argumentsOf(expressions[index]!, options), TIMEOUT);
      printed[index] = await command.then(
        ({ stdout }) => stdout,
        () => undefined,
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return printed;
}

function argumentsOf(expression: string, options: readonly TcpdumpOption[]): string[] {
  return [...options, '-y', 'EN10MB', '--', expression];
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
