import type { PacketErrorData } from '../../errors.js';
import type { Mode } from '../../kernel/contract.js';
import type { BenchSettings, Cell, CellMeasurement } from '../cell.js';
import { type BenchEnvironment, describeEnvironment } from '../environment.js';
import { type Pinning, planPinning } from '../pinning.js';
import type { ProgramName } from '../programs.js';
import { type RefusedCell, toResult } from '../result.js';
import { rounded } from '../rings/spread.js';
import { type CellReport, runCell } from '../run-cell.js';
import { buildCPeer, C_PEER_MODES, type CPeer, runCPeer } from './c-peer.js';
import { type Observation, observeCell } from './cell.js';
import { Laboratory, NEAR } from './laboratory.js';
import {
  type LinuxGroup,
  type LinuxReport,
  type LinuxResult,
  MODELLED,
  type PeerResult,
  type RefusedPeer,
} from './report.js';
import { type FoundTool, findTools, runTool } from './run-tool.js';

/** What to measure: every program in every version with packets of every size. */
export interface LinuxPlan {
  readonly programs: readonly ProgramName[];
  readonly versions: readonly Mode[];
  readonly sizes: readonly number[];
  readonly settings: BenchSettings;
  /** Whether the C program and the tools that are installed run, too. */
  readonly peers: boolean;
}

/** Who hears of a bench while it runs. */
export interface LinuxListener {
  begun?(environment: BenchEnvironment): void;
  /** Something is about to be measured: cell number `index` of `total`. */
  measuring?(what: string, index: number, total: number): void;
  /** All cells of one size are done, or as many as there will be. */
  group?(group: LinuxGroup): void;
}

/** With peers, ours and the C program take turns so often in each cell. */
const ROUNDS = 2;

/** What the peers are in one run. */
interface Peers {
  readonly c: CPeer | undefined;
  readonly tools: readonly FoundTool[];
  readonly versions: Record<string, string>;
}

/** The rows of one size, while they come. */
interface Rows extends LinuxGroup {
  readonly results: LinuxResult[];
  readonly refused: RefusedCell[];
  readonly peers: PeerResult[];
  readonly refusedPeers: RefusedPeer[];
}

type Measured = { readonly measurement: CellMeasurement; readonly observation: Observation };

/**
 * Measures the plan's cells on a veth pair of its own, one after the other, each in a process of its own.
 *
 * @param signal ends the bench early: the report then holds what there is
 * @throws MeasuringFailed when a measuring process fails; PacketError when the pair cannot be made
 */
export async function runLinuxTable(
  plan: LinuxPlan,
  listener: LinuxListener,
  signal: AbortSignal,
): Promise<LinuxReport> {
  const pinning = planPinning();
  const environment = describeEnvironment(plan.settings, pinning);
  const laboratory = await Laboratory.create(signal);
  const peers = plan.peers ? await findPeers(signal) : undefined;
  const all: Rows[] = [];
  const shares: number[] = [1];
  const total = plan.sizes.length * plan.programs.length * plan.versions.length;
  let index = 0;
  listener.begun?.(environment);
  try {
    for (const size of plan.sizes) {
      const rows: Rows = { size, results: [], refused: [], peers: [], refusedPeers: [] };
      all.push(rows);
      try {
        for (const program of plan.programs) {
          for (const version of plan.versions) {
            listener.measuring?.(`${program} ${version}, ${size} bytes`, index++, total);
            const cell = toCell(plan, pinning, program, version, size);
            await measureCell(laboratory, cell, peers?.c, rows, shares, signal);
          }
          for (const { tool } of peers?.tools ?? []) {
            listener.measuring?.(`${program} ${tool.name}, ${size} bytes`, index - 1, total);
            const cell = toCell(plan, pinning, program, tool.beside, size);
            const measured = await runTool(laboratory, tool, cell, signal);
            if (measured !== undefined) note(rows, tool.name, cell, measured);
          }
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        if (rows.results.length + rows.refused.length > 0) listener.group?.(rows);
      }
      if (signal.aborted) break;
    }
  } finally {
    laboratory.close();
    await peers?.c?.remove();
  }
  const refused = all.flatMap((rows) => rows.refused);
  return {
    environment: { ...environment, cpuShare: Number(Math.min(...shares).toFixed(2)) },
    modelled: MODELLED,
    results: all.flatMap((rows) => rows.results),
    ...(refused.length > 0 && { refused }),
    ...(peers !== undefined && {
      peers: {
        versions: peers.versions,
        results: all.flatMap((rows) => rows.peers),
        refused: all.flatMap((rows) => rows.refusedPeers),
      },
    }),
  };
}

function toCell({ settings }: LinuxPlan, pinning: Pinning, program: ProgramName, version: Mode, size: number): Cell {
  return { program, version, size, interface: NEAR.interface, settings, pinning };
}

async function findPeers(signal: AbortSignal): Promise<Peers> {
  const c = await buildCPeer(signal);
  const { found, absent } = await findTools(signal);
  const versions: Record<string, string> = { C: typeof c === 'string' ? `absent: ${c}` : c.compiler };
  for (const { tool, version } of found) {
    versions[tool.name] = tool.remark === undefined ? version : `${version} (${tool.remark})`;
  }
  for (const name of absent) versions[name] = 'absent: not installed';
  return { c: typeof c === 'string' ? undefined : c, tools: found, versions };
}

/** Ours and, in turns, the C program's. */
async function measureCell(
  laboratory: Laboratory,
  cell: Cell,
  c: CPeer | undefined,
  rows: Rows,
  shares: number[],
  signal: AbortSignal,
): Promise<void> {
  const withC = c !== undefined && C_PEER_MODES.includes(cell.version);
  const rounds = withC ? ROUNDS : 1;
  const { settings } = cell;
  const part: Cell = { ...cell, settings: { ...settings, runs: Math.ceil(settings.runs / rounds) } };
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  let why: string | undefined;
  for (let round = 0; round < rounds; round++) {
    const { outcome, observation } = await observeCell<CellReport>(laboratory, part, (run, onLine) => {
      return runCell(part, signal, run, onLine);
    });
    if ('measurement' in outcome) ours.push({ measurement: outcome.measurement, observation });
    else if (round === 0) rows.refused.push(toRefused(cell, outcome.refused));
    if (!withC) continue;
    const peer = await observeCell(laboratory, part, (run, onLine) => {
      return runCPeer(c, part, NEAR.interface, signal, run, onLine);
    });
    if (typeof peer.outcome === 'string') why = peer.outcome;
    else theirs.push({ measurement: peer.outcome, observation: peer.observation });
  }
  if (ours.length > 0) {
    const measured = merge(ours);
    shares.push(measured.measurement.cpuShare);
    rows.results.push(toLinuxResult(cell, measured));
  }
  if (theirs.length > 0) note(rows, 'C', cell, merge(theirs));
  else if (why !== undefined) note(rows, 'C', cell, why);
}

/** Adds a peer's row. */
function note(rows: Rows, peer: string, cell: Cell, measured: Measured | string): void {
  const { program, version } = cell;
  if (typeof measured === 'string') {
    rows.refusedPeers.push({ peer, program, version, size: rows.size, why: measured });
    return;
  }
  const result = toLinuxResult(cell, measured);
  const ours = rows.results.find((one) => one.program === program && one.version === version);
  const ratio = (a: number | undefined, b: number | undefined): number | undefined => {
    return a && b ? rounded(a / b) : undefined;
  };
  const rateRatio = ratio(ours?.mpps.median, result.mpps.median);
  const cpuRatio = ratio(ours?.cpuNsPerPacket, result.cpuNsPerPacket);
  rows.peers.push({
    peer,
    ...result,
    ...(rateRatio !== undefined && { rateRatio }),
    ...(cpuRatio !== undefined && { cpuRatio }),
  });
}

/** Several processes that measured the same, as one. */
function merge(parts: readonly Measured[]): Measured {
  const mean = (value: (part: Measured) => number): number => {
    return parts.reduce((sum, part) => sum + value(part), 0) / parts.length;
  };
  const lost: Record<string, number> = {};
  for (const { measurement, observation } of parts) {
    for (const [place, count] of [...Object.entries(measurement.lost), ...Object.entries(observation.lost)]) {
      lost[place] = (lost[place] ?? 0) + count;
    }
  }
  const [{ measurement, observation }] = parts as [Measured];
  const calls = measurement.cost?.systemCalls;
  return {
    measurement: {
      mpps: parts.flatMap((part) => part.measurement.mpps),
      meanSize: mean((part) => part.measurement.meanSize),
      lost,
      cpuShare: Math.min(...parts.map((part) => part.measurement.cpuShare)),
      cost: {
        cpuNanoseconds: mean((part) => part.measurement.cost?.cpuNanoseconds ?? 0),
        ...(calls !== undefined && { systemCalls: mean((part) => part.measurement.cost?.systemCalls ?? 0) }),
      },
    },
    observation: {
      farCpuNanoseconds: observation.farCpuNanoseconds && mean((part) => part.observation.farCpuNanoseconds ?? 0),
      softirqNanoseconds: mean((part) => part.observation.softirqNanoseconds),
      lost,
    },
  };
}

function toLinuxResult(cell: Cell, { measurement, observation }: Measured): LinuxResult {
  const lost = { ...measurement.lost, ...observation.lost };
  const { farCpuNanoseconds, softirqNanoseconds } = observation;
  return {
    ...toResult(cell, { ...measurement, lost }),
    ...(farCpuNanoseconds !== undefined && { farCpuNsPerPacket: rounded(farCpuNanoseconds) }),
    softirqNsPerPacket: rounded(softirqNanoseconds),
  };
}

function toRefused(cell: Cell, { code, message, remedy }: PacketErrorData): RefusedCell {
  const { program, version, size, interface: name } = cell;
  return { program, version, size, interface: name, code, why: message, remedy };
}
