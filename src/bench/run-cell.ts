import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { PacketErrorData } from '../errors.js';
import type { Cell, CellMeasurement } from './cell.js';

/** What came of a cell: figures, or a reason why there are none. */
export type CellReport = { readonly measurement: CellMeasurement } | { readonly refused: PacketErrorData };

/** The process of a cell failed in a way that it could not report. */
export class MeasuringFailed extends Error {
  override readonly name = 'MeasuringFailed';
}

/** A cell that takes so much longer than its runs is ended. */
const GRACE_MILLISECONDS = 30_000;

/**
 * Measures a cell in a process of its own.
 *
 * @throws MeasuringFailed when the process fails or hangs; the signal's reason when it is aborted, after the process has ended
 */
export async function runCell(cell: Cell, signal: AbortSignal): Promise<CellReport> {
  signal.throwIfAborted();
  const script = fileURLToPath(new URL('./cell-process.js', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(cell)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { warmUpSeconds, seconds, runs } = cell.settings;
  const timer = setTimeout(() => child.kill('SIGKILL'), (warmUpSeconds + seconds * runs) * 2000 + GRACE_MILLISECONDS);
  const abort = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', abort);
  try {
    const { stdout, stderr, how } = await outcome(child);
    if (how === 'signal SIGINT') await sleep(100); // Ctrl-C reaches both processes; we hear of it a moment later
    signal.throwIfAborted();
    const line = stdout.trim().split('\n').at(-1) ?? '';
    if (how === 'status 0' && line !== '') return JSON.parse(line) as CellReport;
    throw new MeasuringFailed(
      `the measuring process of ${cell.program} ${cell.version} failed (${how})\n${stderr.trim()}`,
    );
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

function outcome(child: ChildProcess): Promise<{ stdout: string; stderr: string; how: string }> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (status, ended) =>
      resolve({ stdout, stderr, how: ended === null ? `status ${status}` : `signal ${ended}` }),
    );
  });
}
