import type { BenchEnvironment } from '../environment.js';
import { UNDISTURBED } from '../rings/runs.js';
import { alignColumns, digits, type Spread } from '../rings/spread.js';
import type { HeapMeasurement, HeapProgram } from './heap.js';
import type { Axis, ScalePoint, ScaleSettings } from './point.js';

/** One point of one table, as `--json` prints it. */
export interface ScaleResult {
  readonly axis: Axis;
  readonly mode: ScalePoint['mode'] | undefined;
  readonly value: number;
  /** Wall time per packet, in nanoseconds. */
  readonly nsPerPacket: Spread;
  /** The median as a multiple of the table's first. */
  readonly ratio: number;
  readonly cpuShare: number;
  /** Everything about the point; undefined for `passes`. */
  readonly point?: ScalePoint;
}

export interface HeapResult extends HeapMeasurement {
  readonly mode: ScalePoint['mode'];
  readonly program: HeapProgram;
  readonly bytesPerPacket: number | undefined;
}

/** What `tp4 bench scale --json` prints. */
export interface ScaleReport {
  readonly environment: Omit<BenchEnvironment, 'settings'> & { readonly settings: ScaleSettings };
  readonly modelled: string;
  readonly results: readonly ScaleResult[];
  /** With `--heap`. */
  readonly heap?: readonly HeapResult[];
}

export const MODELLED =
  'Device, driver, kernel and application on one thread, so that nothing is hidden; nanoseconds are all of them together. Receive ' +
  'DMA really writes each packet; the application reads each Ethernet header and gives the frame back. Interrupts are raised at ' +
  'once and polled in budgets of 64. Packets of one flow come in bursts as each table says, flows take turns, and the application ' +
  'visits the busy sockets in turn; the wire waits for it, so that nothing is lost. Not modelled: PCIe, cores that share caches, costs of real interrupts.';

/** What a table is about: a title, and what its values count. */
const TITLES: Record<Axis, (point: ScalePoint | undefined) => readonly [title: string, unit: string]> = {
  sockets: (point) => [
    `Sockets, all busy in turn, ${sharing(point)}, bursts of ${point?.burst}; the wire cycles ${point?.packets} packets`,
    'sockets',
  ],
  idle: (point) => [
    `Sockets, ${point?.busy} of them busy in turn, ${sharing(point)}, bursts of ${point?.burst}`,
    'sockets',
  ],
  burst: (point) => [`Packets in a row for one of ${point?.sockets} busy sockets, ${sharing(point)}`, 'packets'],
  moderation: (point) => [
    `Packets that raise an interrupt, for ${point?.sockets} busy sockets, ${sharing(point)}, each packet for another`,
    'packets',
  ],
  rules: (point) => [
    `Flow rules of one socket, ${point?.mode === 'v4' ? "in the kernel's table" : 'in the flow director'}, ` +
      'each packet of another flow than the one before',
    'rules',
  ],
  queues: () => ['Queues of which one is busy, by a flow rule', 'queues'],
  rss: (point) => [`Queues with a socket each, by RSS, bursts of ${point?.burst}`, 'queues'],
  batch: () => ['Batch size of one socket that receives everything', 'packets'],
  frames: (point) => [`Frames of its packet buffer, rings of ${point?.ring}`, 'frames'],
  ring: () => ['Descriptors of its ring, as many frames', 'descriptors'],
  size: () => ['Packet size', 'bytes'],
  passes: () => [
    'Passes over a batch of 64 in a program that reads flows, looks them up, counts, hashes and rewrites (F12; 2: read ahead, then one)',
    'passes',
  ],
};

function sharing(point: ScalePoint | undefined): string {
  return point?.mode === 'v4' ? 'a rule each, sharing one queue' : 'a queue and a rule each';
}

export function renderEnvironment({ environment }: ScaleReport): string {
  const { settings } = environment;
  return [
    `tpacket4 ${environment.tpacket4}, Node ${environment.node}, ${environment.platform} ${environment.arch}, ` +
      `${environment.cpus} × ${environment.cpu}`,
    `median of ${settings.runs} runs of ${settings.seconds} s after ${settings.warmUpSeconds} s of warm-up, a process for each point`,
  ].join('\n');
}

/** One table: the points of one axis and mode. */
export function renderTable(results: readonly ScaleResult[]): string {
  const { axis, mode, point } = results[0]!;
  const [title, unit] = TITLES[axis](point);
  const hasRate = axis === 'size';
  const rows = [[unit, 'ns/packet', 'min – max', 'of the first', ...(hasRate ? ['Gbit/s'] : [])]];
  for (const { value, nsPerPacket: ns, ratio } of results) {
    const rate = hasRate ? [digits(((value + 20) * 8) / ns.median)] : [];
    const cells = [`${value}`, digits(ns.median), `${digits(ns.min)} – ${digits(ns.max)}`, ratio.toFixed(2), ...rate];
    rows.push(cells);
  }
  return `${title}${mode === undefined ? '' : ` (${mode})`}\n\n${indent(alignColumns(rows))}`;
}

export function renderHeap(heap: readonly HeapResult[]): string {
  const rows = [['', 'packets', 'bytes allocated', 'bytes a packet', 'bytes more in use']];
  for (const { mode, program, packets, allocatedBytes, bytesPerPacket, grownBytes } of heap) {
    rows.push([
      `${mode}, ${program}`,
      packets.toLocaleString('en-US'),
      allocatedBytes === undefined ? 'collected' : allocatedBytes.toLocaleString('en-US'),
      bytesPerPacket === undefined ? '' : bytesPerPacket.toFixed(4),
      grownBytes.toLocaleString('en-US'),
    ]);
  }
  return `What moving packets leaves on the JavaScript heap\n\n${indent(alignColumns(rows))}`;
}

export function renderNotes({ modelled, results }: ScaleReport): string {
  const worst = Math.min(1, ...results.map(({ cpuShare }) => cpuShare));
  const disturbed =
    worst < UNDISTURBED
      ? `\nDisturbed: other processes used the CPUs; at the worst point the thread got ${Math.round(worst * 100)} % of its time.`
      : '';
  return `Modelled: ${modelled}${disturbed}`;
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}
