import type { Mode } from '../kernel/contract.js';
import type { BenchEnvironment } from './environment.js';
import { PROGRAM_NAMES } from './programs.js';
import type { BenchReport, BenchResult, RefusedCell } from './result.js';
import { talkFigure } from './talk-figures.js';

/** Rows of one table: the same traffic on the same interface. */
export interface TableGroup {
  readonly interface: string;
  /** Undefined where the traffic decides. */
  readonly size: number | undefined;
  readonly results: readonly BenchResult[];
  readonly refused: readonly RefusedCell[];
}

const COLUMNS = ['', 'Mpps', 'min – max', 'Gbit/s', 'ns/packet', '× V2', '× V3', 'talk, Mpps', 'lost'] as const;

/** The talk's table (R1, R2) for one kind of traffic, as lines of text. */
export function renderTable(group: TableGroup): string {
  const rows: string[][] = [];
  for (const program of PROGRAM_NAMES) {
    const results = group.results.filter((result) => result.program === program);
    const refused = group.refused.filter((cell) => cell.program === program);
    if (results.length + refused.length === 0) continue;
    rows.push([program]);
    for (const result of results) rows.push(row(result, results));
    for (const { version, why } of refused) rows.push([`  ${version}`, `refused: ${why}`]);
  }
  return `${title(group)}\n\n${align([[...COLUMNS], ...rows])}`;
}

function title({ interface: name, size, results }: TableGroup): string {
  const { threads } = results[0] ?? {};
  const what = size === undefined ? packetsOf(results) : `packets of ${size} bytes`;
  const how = { inline: ', kernel inline', worker: ', kernel on a thread of its own', kernel: '' };
  return `${name}: ${what}${threads === undefined ? '' : how[threads]}`;
}

function packetsOf(results: readonly BenchResult[]): string {
  const sizes = results.map((result) => result.size).filter((size) => size > 0);
  if (sizes.length === 0) return 'no packets measured';
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  return `packets of ${mean.toFixed(0)} bytes in the mean`;
}

function row(result: BenchResult, siblings: readonly BenchResult[]): string[] {
  const { program, version, size, mpps, gbps, nsPerPacket, lost } = result;
  const talk = talkFigure(program, version, size);
  return [
    `  ${version}`,
    digits(mpps.median),
    `${digits(mpps.min)} – ${digits(mpps.max)}`,
    digits(gbps),
    digits(nsPerPacket),
    ratio(result, 'v2', siblings),
    ratio(result, 'v3', siblings),
    talk === undefined ? '' : talk.toFixed(talk < 10 ? 2 : 1),
    Object.entries(lost)
      .map(([place, count]) => `${count.toLocaleString('en-US')} ${place}`)
      .join(', '),
  ];
}

function ratio(result: BenchResult, version: Mode, siblings: readonly BenchResult[]): string {
  const base = siblings.find((sibling) => sibling.version === version);
  if (base === undefined || base.mpps.median === 0) return '';
  return (result.mpps.median / base.mpps.median).toFixed(1);
}

function digits(value: number): string {
  if (value === 0) return '0';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Columns: the first and the last to the left, figures to the right. A row of one or two cells does not widen columns. */
function align(rows: readonly string[][]): string {
  const widths = COLUMNS.map((_, column) =>
    Math.max(...rows.filter((cells) => cells.length > 2 || column === 0).map((cells) => (cells[column] ?? '').length)),
  );
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => {
          const left = column === 0 || column === COLUMNS.length - 1 || cells.length <= 2;
          return left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The lines above the tables: machine and settings. */
export function renderEnvironment(environment: BenchEnvironment): string {
  const { settings } = environment;
  return [
    `tpacket4 ${environment.tpacket4}, Node ${environment.node}, ${environment.platform} ${environment.arch}, ` +
      `${environment.cpus} × ${environment.cpu}; ${environment.pinning}`,
    `batches of ${settings.batch}, rings of ${settings.ring}, ${settings.frames} frames of ${settings.frameSize} bytes; ` +
      `median of ${settings.runs} runs of ${settings.seconds} s after ${settings.warmUpSeconds} s of warm-up`,
  ].join('\n');
}

/** A cell whose threads got less of their CPUs than this was disturbed by other processes. */
const UNDISTURBED = 0.95;

/** The lines below the tables. */
export function renderNotes({ environment, modelled }: BenchReport): string {
  const { cpuShare = 1 } = environment;
  return [
    'Sizes count the 4-byte FCS; Gbit/s counts 20 bytes of preamble and gap more.',
    'talk: its C figures on a 40 Gbit/s NIC; 44.6 Mpps (64 bytes) and 40 Gbit/s (1500 bytes) were its goals for one core.',
    `Modelled: ${modelled}`,
    ...(cpuShare < UNDISTURBED
      ? [
          `Disturbed: other processes used the CPUs; in the worst cell the threads got ${Math.round(cpuShare * 100)} % of their time.`,
        ]
      : []),
  ].join('\n');
}
