import type { BenchEnvironment } from '../environment.js';
import { HAND_BACK, MINIMAL_ENTRIES, type Pace, type RingFormat, type RingsSettings } from './case.js';
import type { LoopLanguage } from './descriptor-runs.js';
import { alignColumns, digits, type Spread } from './spread.js';

/** The real rings between two threads. */
export interface ExchangeResult {
  readonly ring: RingFormat;
  readonly pace: Pace;
  /** Descriptors that the slow side hands over at a time; the other side uses the settings' batch. */
  readonly slowBatch: number;
  /** Wall time, in nanoseconds. */
  readonly nsPerDescriptor: Spread;
  /** Millions per second, of the median. */
  readonly mdescriptors: number;
  /** The slow side's extra work by itself, and what is left of the median: the rings. Nanoseconds per descriptor. */
  readonly workNanoseconds: number;
  readonly ringNanoseconds: number;
  readonly cpuShare: number;
}

/** F3. */
export interface HandBackResult {
  readonly ring: RingFormat;
  readonly descriptors: number;
  /** Owner ring: marking every entry. Index rings: posting the frames again in the fill ring. */
  readonly nanoseconds: Spread;
  /** Index rings: handing the descriptors back by moving one index. */
  readonly indexMoveNanoseconds?: number;
  readonly cpuShare: number;
}

/** The minimal loops. */
export interface MinimalResult {
  readonly ring: RingFormat;
  readonly language: LoopLanguage | 'c';
  readonly nsPerDescriptor: Spread;
  readonly mdescriptors: number;
  /** Its rate as a part of C's, where there is a C compiler. */
  readonly ratioToC?: number;
  readonly cpuShare: number;
}

/** What `tp4 bench rings --json` prints. */
export interface RingsReport {
  readonly environment: Omit<BenchEnvironment, 'settings'> & { readonly settings: RingsSettings };
  readonly modelled: string;
  readonly exchange: readonly ExchangeResult[];
  readonly handBack: readonly HandBackResult[];
  readonly minimal: readonly MinimalResult[];
  /** Why there are no figures of the C twin. */
  readonly withoutC?: string;
}

export const MODELLED =
  'No packets: frames go round between an application and a kernel side that fills them at once. The rings are the real ones, ' +
  'user and kernel side with all validation; received frames are released at once. Extra work is a chain of multiplications.';

const LANGUAGES: Record<MinimalResult['language'], string> = {
  typescript: 'TypeScript',
  webassembly: 'runs in WebAssembly',
  c: 'C (gcc -O2)',
};

const NAMES: Record<RingFormat, string> = { owner: 'owner ring', index: 'index rings' };

export function renderEnvironment({ environment }: RingsReport): string {
  const { settings } = environment;
  return [
    `tpacket4 ${environment.tpacket4}, Node ${environment.node}, ${environment.platform} ${environment.arch}, ` +
      `${environment.cpus} × ${environment.cpu}; ${environment.pinning}`,
    `rings of ${settings.entries}, batches of ${settings.batch}; ` +
      `median of ${settings.runs} runs of ${settings.seconds} s after ${settings.warmUpSeconds} s of warm-up`,
  ].join('\n');
}

export function renderTables(report: RingsReport): string {
  return [renderExchange(report), renderHandBack(report), renderMinimal(report), renderNotes(report)].join('\n\n');
}

function renderExchange({ exchange }: RingsReport): string {
  const rows = [['', 'Mdescriptors/s', 'ns each', 'min – max', 'extra work', 'the rest']];
  let title = '';
  for (const result of exchange) {
    const { pace, slowBatch, ring, nsPerDescriptor: ns, workNanoseconds } = result;
    const next = `${pace}, ${pace === 'symmetrical' ? '' : 'its '}batches of ${slowBatch}`;
    if (next !== title) rows.push([next]);
    title = next;
    rows.push([
      `  ${NAMES[ring]}`,
      digits(result.mdescriptors),
      digits(ns.median),
      `${digits(ns.min)} – ${digits(ns.max)}`,
      workNanoseconds === 0 ? '' : digits(workNanoseconds),
      workNanoseconds === 0 ? '' : digits(result.ringNanoseconds),
    ]);
  }
  return `Between two threads, frames received and released (F2)\n\n${alignColumns(rows)}`;
}

function renderHandBack({ handBack }: RingsReport): string {
  const rows = [['', 'ns', 'min – max', 'ns each']];
  for (const { ring, nanoseconds, indexMoveNanoseconds } of handBack) {
    if (indexMoveNanoseconds !== undefined) {
      rows.push([
        `  ${NAMES[ring]}: one index moved`,
        digits(indexMoveNanoseconds),
        '',
        digits(indexMoveNanoseconds / HAND_BACK),
      ]);
    }
    rows.push([
      `  ${NAMES[ring]}: ${ring === 'owner' ? 'every entry marked' : 'and the frames posted again'}`,
      digits(nanoseconds.median),
      `${digits(nanoseconds.min)} – ${digits(nanoseconds.max)}`,
      digits(nanoseconds.median / HAND_BACK),
    ]);
  }
  return `Handing back ${HAND_BACK} descriptors, one thread (F3)\n\n${alignColumns(rows)}`;
}

function renderMinimal({ minimal, withoutC, environment }: RingsReport): string {
  const rows = [['', 'Mdescriptors/s', 'ns each', 'min – max', 'of C']];
  for (const { ring, language, mdescriptors, nsPerDescriptor: ns, ratioToC } of minimal) {
    rows.push([
      `  ${NAMES[ring]}, ${LANGUAGES[language]}`,
      digits(mdescriptors),
      digits(ns.median),
      `${digits(ns.min)} – ${digits(ns.max)}`,
      ratioToC === undefined ? '' : `${Math.round(ratioToC * 100)} %`,
    ]);
  }
  const title =
    `The same minimal loops in TypeScript, with their runs in WebAssembly, and in C: one ring of ${MINIMAL_ENTRIES} between two threads, ` +
    `batches of ${environment.settings.batch}`;
  return `${title}\n\n${alignColumns(rows)}${withoutC === undefined ? '' : `\n  no figures for C: ${withoutC}`}`;
}

function renderNotes(report: RingsReport): string {
  const shares = [...report.exchange, ...report.handBack, ...report.minimal].map(({ cpuShare }) => cpuShare);
  const worst = Math.min(...shares);
  const disturbed =
    worst < 0.95
      ? `\nDisturbed: other processes used the CPUs; in the worst case the threads got ${Math.round(worst * 100)} % of their time.`
      : '';
  return `Modelled: ${report.modelled}${disturbed}`;
}
