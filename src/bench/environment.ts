import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { BenchSettings } from './cell.js';
import { describePinning, type Pinning } from './pinning.js';

/** Where and how a table was measured. Plain data, for `--json`. */
export interface BenchEnvironment {
  readonly tpacket4: string;
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
  readonly arch: string;
  /** The operating system's release. */
  readonly release: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Mean number of running processes of the last minute when the bench began: more than 0.5 or so disturbs. */
  readonly loadAverage: number;
  /** When the bench began, ISO 8601, UTC. */
  readonly date: string;
  readonly settings: BenchSettings;
  readonly pinning: string;
  /** The least part of their CPU time that the threads of a cell got; well below 1, others disturbed the measurement. */
  readonly cpuShare?: number;
}

/** Describes this machine. */
export function describeEnvironment(settings: BenchSettings, pinning: Pinning): BenchEnvironment {
  const processors = cpus();
  return {
    tpacket4: packageVersion(),
    node: process.versions.node,
    v8: process.versions.v8,
    platform: process.platform,
    arch: process.arch,
    release: release(),
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cpus: processors.length,
    memoryBytes: totalmem(),
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2)),
    date: new Date().toISOString(),
    settings,
    pinning: settings.threads === 'worker' ? describePinning(pinning) : 'one thread',
  };
}

/** Version of this package. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** What the figures stand for, and what they do not (brief: "What we measure ourselves against"). */
export function describeModel(settings: BenchSettings, kernels: ReadonlySet<'soft' | 'linux'>): string {
  const parts: string[] = [];
  if (kernels.has('soft')) {
    const place =
      settings.threads === 'worker'
        ? 'a thread of its own, the application on another'
        : "the application's own thread";
    parts.push(
      `soft: a NIC with one queue, its driver and the kernel side of the sockets, on ${place}. Receive DMA writes and send DMA ` +
        'reads every byte of every packet, for real, in memory; copy modes clone and copy them as AF_PACKET does. Generated ' +
        'traffic cycles 1024 distinct packets unless the interface says otherwise; txpush sends frames that were written ' +
        'beforehand into a silent wire. Not modelled: PCIe, interrupt and system call costs, the ordinary stack beyond the hand-over.',
    );
  }
  if (kernels.has('linux')) parts.push('linux: nothing is modelled; the interface and whoever sends to it decide.');
  return parts.join(' ');
}
