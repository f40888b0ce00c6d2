import type { PacketErrorData } from '../errors.js';
import { parseInterfaceSpec } from '../host/interface-spec.js';
import type { Mode } from '../kernel/contract.js';
import type { BenchSettings, Cell } from './cell.js';
import { type BenchEnvironment, describeEnvironment, describeModel } from './environment.js';
import { LINUX_VERSIONS } from './linux/versions.js';
import { type Pinning, planPinning } from './pinning.js';
import type { ProgramName } from './programs.js';
import { type BenchReport, type BenchResult, type RefusedCell, toResult } from './result.js';
import { runCell } from './run-cell.js';
import type { TableGroup } from './table.js';

/** What to measure: every program in every version for every kind of traffic. */
export interface BenchPlan {
  readonly programs: readonly ProgramName[];
  /** Undefined: what suits each interface's kernel. */
  readonly versions: readonly Mode[] | undefined;
  readonly traffic: readonly Traffic[];
  readonly settings: BenchSettings;
}

/** One kind of traffic: an interface, and the size of its packets where the interface leaves that open. */
export interface Traffic {
  readonly interface: string;
  readonly size: number | undefined;
}

/** Who hears of a bench while it runs. */
export interface BenchListener {
  begun?(environment: BenchEnvironment): void;
  /** A cell is about to be measured: number `index` of `total`. */
  measuring?(cell: Cell, index: number, total: number): void;
  /** All cells of one kind of traffic are done, or as many as there will be. */
  group?(group: TableGroup): void;
}

/** The talk's versions. */
const SOFT_VERSIONS: readonly Mode[] = ['v2', 'v3', 'v4', 'v4-zc'];

/**
 * Measures the plan's cells one after the other, each in a process of its own.
 *
 * @param signal ends the bench early: the report then holds what there is
 * @throws MeasuringFailed when a measuring process fails
 */
export async function runBench(plan: BenchPlan, listener: BenchListener, signal: AbortSignal): Promise<BenchReport> {
  const { settings } = plan;
  const kernels = new Set(plan.traffic.map((traffic) => parseInterfaceSpec(traffic.interface).kernel));
  const pinning: Pinning = kernels.has('soft') ? planPinning() : { none: 'the Linux kernel places its own' };
  const environment = describeEnvironment(settings, pinning);
  const results: BenchResult[] = [];
  const refused: RefusedCell[] = [];
  const groups = plan.traffic.map((traffic) => ({ ...traffic, cells: cellsOf(plan, traffic, pinning) }));
  const total = groups.reduce((sum, { cells }) => sum + cells.length, 0);
  let index = 0;
  let cpuShare = 1;
  listener.begun?.(environment);
  for (const { interface: name, size, cells } of groups) {
    const group = { interface: name, size, results: [] as BenchResult[], refused: [] as RefusedCell[] };
    try {
      for (const cell of cells) {
        listener.measuring?.(cell, index++, total);
        const report = await runCell(cell, signal);
        if ('measurement' in report) {
          group.results.push(toResult(cell, report.measurement));
          cpuShare = Math.min(cpuShare, report.measurement.cpuShare);
        } else {
          group.refused.push(toRefused(cell, report.refused));
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      results.push(...group.results);
      refused.push(...group.refused);
      if (group.results.length + group.refused.length > 0) listener.group?.(group);
    }
    if (signal.aborted) break;
  }
  const modelled = describeModel(settings, kernels);
  const measured = { ...environment, cpuShare: Number(cpuShare.toFixed(2)) };
  return { environment: measured, modelled, results, ...(refused.length > 0 && { refused }) };
}

function cellsOf({ programs, versions, settings }: BenchPlan, traffic: Traffic, pinning: Pinning): Cell[] {
  const { kernel } = parseInterfaceSpec(traffic.interface);
  const modes = versions ?? (kernel === 'soft' ? SOFT_VERSIONS : LINUX_VERSIONS);
  return programs.flatMap((program) => modes.map((version) => ({ ...traffic, program, version, settings, pinning })));
}

function toRefused(cell: Cell, { code, message, remedy }: PacketErrorData): RefusedCell {
  const { program, version, size, interface: name } = cell;
  return { program, version, size, interface: name, code, why: message, remedy };
}
