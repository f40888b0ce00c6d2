import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FCS_BYTES } from '../../wire/traffic.js';
import type { Cell, CellMeasurement } from '../cell.js';
import { runCommand } from '../rings/child.js';
import { type CommandRunner, cellTimeout } from '../run-cell.js';
import { cpusOf, type LineListener } from './cell.js';

/** The peer's sources; they stay in the repository and are not part of the package. */
const FOLDER = new URL('../../../../bench/peers/', import.meta.url);
const SOURCES = ['peer.c', 'peer-xdp.c', 'peer-packet.c'];
const COMPILER = 'gcc';
const BUILD_MILLISECONDS = 60_000;

/** The modes that the C peer has. */
export const C_PEER_MODES: readonly string[] = ['v2', 'v3', 'xdp-generic', 'xdp-copy'];

/** The C program that does the same as ours, built for this run. */
export interface CPeer {
  /** Path of the program. */
  readonly program: string;
  /** What built it. */
  readonly compiler: string;
  /** Removes what was built. */
  remove(): Promise<void>;
}

/** Builds the peer in a temporary folder; a sentence when that cannot be done. */
export async function buildCPeer(signal: AbortSignal): Promise<CPeer | string> {
  const sources = SOURCES.map((name) => fileURLToPath(new URL(name, FOLDER)));
  if (!sources.every((path) => existsSync(path))) {
    return 'its sources are in the repository (bench/peers), not in the package';
  }
  const folder = await mkdtemp(join(tmpdir(), 'tp4-peer-'));
  const program = join(folder, 'packet-peer');
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const options = { timeoutMilliseconds: BUILD_MILLISECONDS, signal };
  try {
    await runCommand(COMPILER, ['-O2', '-o', program, ...sources], options);
    const [compiler = COMPILER] = await runCommand(COMPILER, ['--version'], options);
    return { program, compiler, remove };
  } catch (error) {
    await remove();
    signal.throwIfAborted();
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return missing ? `there is no ${COMPILER}` : `${COMPILER} could not build it: ${(error as Error).message}`;
  }
}

/**
 * Measures a cell with the C program.
 *
 * @returns figures, or the sentence in which it was refused
 */
export async function runCPeer(
  peer: CPeer,
  cell: Cell,
  name: string,
  signal: AbortSignal,
  run: CommandRunner,
  onLine: LineListener,
): Promise<CellMeasurement | string> {
  const { program, version, size = 64, settings } = cell;
  const { batch, ring, frames, frameSize, blockSize, seconds, warmUpSeconds, runs } = settings;
  const numbers = [size, batch, ring, frames, frameSize, blockSize, seconds, warmUpSeconds, runs];
  const args = [version, program, name, ...[cpusOf(cell).near, ...numbers].map(String)];
  const options = { timeoutMilliseconds: cellTimeout(settings), signal, onLine };
  return parseCPeer(await run(peer.program, args, options));
}

/** Reads what the program wrote; see bench/peers/peer.c. @throws Error when it is something else */
export function parseCPeer(lines: readonly string[]): CellMeasurement | string {
  const refused = lines.find((line) => line.startsWith('refused '));
  if (refused !== undefined) return refused.slice('refused '.length);
  const mpps: number[] = [];
  const lost: Record<string, number> = {};
  const sum = { packets: 0, bytes: 0, nanoseconds: 0, cpu: 0, calls: 0 };
  for (const line of lines) {
    const [kind, ...words] = line.split(' ');
    if (kind === 'lost') lost[words[0]!] = Number(words[1]);
    if (kind !== 'run') continue;
    const [packets = 0, bytes = 0, nanoseconds = 0, cpu = 0, calls = 0] = words.map(Number);
    mpps.push((packets / nanoseconds) * 1000);
    sum.packets += packets;
    sum.bytes += bytes;
    sum.nanoseconds += nanoseconds;
    sum.cpu += cpu;
    sum.calls += calls;
  }
  if (mpps.length === 0 || !mpps.every(Number.isFinite)) throw new Error(`the C peer wrote: ${lines.join('; ')}`);
  const packets = Math.max(1, sum.packets);
  return {
    mpps,
    meanSize: sum.packets === 0 ? 0 : sum.bytes / sum.packets + FCS_BYTES,
    lost,
    cpuShare: sum.cpu / sum.nanoseconds,
    cost: { cpuNanoseconds: sum.cpu / packets, systemCalls: sum.calls / packets },
  };
}
