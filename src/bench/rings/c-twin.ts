import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Pinning } from '../pinning.js';
import { MINIMAL_ENTRIES, type RingFormat, type RingsMeasurement, type RingsSettings } from './case.js';
import { runCommand } from './child.js';
import { bestRuns } from './runs.js';

/** The twin's source; it stays in the repository and is not part of the package. */
const SOURCE = new URL('../../../../bench/peers/two-rings.c', import.meta.url);
const COMPILER = 'gcc';
const BUILD_MILLISECONDS = 60_000;

/** The minimal loops in C, built for this run. */
export interface CTwin {
  measure(
    format: RingFormat,
    settings: RingsSettings,
    pinning: Pinning,
    signal: AbortSignal,
  ): Promise<RingsMeasurement>;
  /** Removes what was built. */
  remove(): Promise<void>;
}

/** Builds the twin in a temporary folder; a sentence when that cannot be done. */
export async function buildCTwin(signal: AbortSignal): Promise<CTwin | string> {
  const source = fileURLToPath(SOURCE);
  if (!existsSync(source)) return 'its source is in the repository (bench/peers), not in the package';
  const folder = await mkdtemp(join(tmpdir(), 'tp4-twin-'));
  const program = join(folder, 'two-rings');
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const options = { timeoutMilliseconds: BUILD_MILLISECONDS, signal };
    await runCommand(COMPILER, ['-O2', '-pthread', '-o', program, source], options);
  } catch (error) {
    await remove();
    signal.throwIfAborted();
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return missing ? `there is no ${COMPILER}` : `${COMPILER} could not build it: ${(error as Error).message}`;
  }
  return {
    remove,
    async measure(format, settings, pinning, abort) {
      const { batch, seconds, warmUpSeconds, runs } = settings;
      const numbers = [MINIMAL_ENTRIES, batch, seconds, warmUpSeconds, runs];
      const cpus = 'none' in pinning ? [] : [pinning.application, pinning.kernel];
      const lines = await runCommand(program, [format, ...[...numbers, ...cpus].map(String)], {
        timeoutMilliseconds: (warmUpSeconds + seconds * runs) * 4000 + BUILD_MILLISECONDS,
        signal: abort,
      });
      const measured = lines.map((line) => line.split(' ').map(Number) as [nanoseconds: number, cpuShare: number]);
      return { ...bestRuns(measured, runs), reference: 0 };
    },
  };
}
