import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { PacketErrorData } from '../errors.js';
import type { BenchSettings, Cell, CellMeasurement } from './cell.js';
import { type CommandOptions, runCommand } from './rings/child.js';

/** What came of a cell: figures, or a reason why there are none. */
export type CellReport = { readonly measurement: CellMeasurement } | { readonly refused: PacketErrorData };

/** The line that a measuring process writes when its warm-up is over. */
export const BEGAN = 'began';

/** The process of a cell failed in a way that it could not report. */
export class MeasuringFailed extends Error {
  override readonly name = 'MeasuringFailed';
}

/** A cell that takes so much longer than its runs is ended. */
const GRACE_MILLISECONDS = 30_000;

/** After how many milliseconds a measuring process is stuck. */
export function cellTimeout({ warmUpSeconds, seconds, runs }: BenchSettings): number {
  return (warmUpSeconds + seconds * runs) * 2000 + GRACE_MILLISECONDS;
}

/** Runs a command to its end and returns the lines it wrote; `runCommand`, or the same somewhere else. */
export type CommandRunner = (command: string, args: readonly string[], options: CommandOptions) => Promise<string[]>;

/**
 * Measures a cell in a process of its own.
 *
 * @param run starts that process
 * @param onLine see {@link CommandOptions}
 * @throws MeasuringFailed when the process fails or hangs; the signal's reason when it is aborted, after the process has ended
 */
export async function runCell(
  cell: Cell,
  signal: AbortSignal,
  run: CommandRunner = runCommand,
  onLine: CommandOptions['onLine'] = undefined,
): Promise<CellReport> {
  const script = fileURLToPath(new URL('./cell-process.js', import.meta.url));
  const options = { timeoutMilliseconds: cellTimeout(cell.settings), signal, ...(onLine !== undefined && { onLine }) };
  let line: string | undefined;
  try {
    line = (await run(process.execPath, [script, JSON.stringify(cell)], options)).at(-1);
    return JSON.parse(line ?? '') as CellReport;
  } catch (error) {
    await sleep(100); // Ctrl-C reaches both processes; we hear of it a moment later
    signal.throwIfAborted();
    throw new MeasuringFailed(
      `the measuring process of ${cell.program} ${cell.version} failed: ${(error as Error).message}`,
    );
  }
}
