import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../rings/child.js';

/** The peer's source; it stays in the repository and is not part of the package. */
const SOURCE = new URL('../../../../bench/peers/peer-filter.c', import.meta.url);
const COMPILER = 'gcc';
const BUILD_MILLISECONDS = 60_000;

/** What libpcap did with an expression. */
export interface LibpcapFigures {
  readonly nanoseconds: number;
  readonly accepted: number;
}

/**
 * Builds the C peer and has libpcap run all expressions over a capture.
 *
 * @returns figures in the order of the expressions; a sentence when there are none
 */
export async function measureLibpcap(
  capture: string,
  expressions: readonly string[],
  seconds: number,
  signal: AbortSignal,
): Promise<readonly LibpcapFigures[] | string> {
  const source = fileURLToPath(SOURCE);
  if (!existsSync(source)) return 'its source is in the repository (bench/peers), not in the package';
  const folder = await mkdtemp(join(tmpdir(), 'tp4-peer-'));
  const program = join(folder, 'peer-filter');
  try {
    const options = { timeoutMilliseconds: BUILD_MILLISECONDS, signal };
    await runCommand(COMPILER, ['-O2', '-o', program, source, '-lpcap'], options);
    const lines = await runCommand(program, [capture, String(seconds), ...expressions], {
      timeoutMilliseconds: seconds * 1000 * expressions.length + BUILD_MILLISECONDS,
      signal,
    });
    return lines.map((line) => {
      const [nanoseconds, accepted] = line.split(' ').map(Number) as [number, number];
      return { nanoseconds, accepted };
    });
  } catch (error) {
    signal.throwIfAborted();
    return `it could not be built or run: ${(error as Error).message.split('\n')[0]}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
