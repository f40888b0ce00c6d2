import type { Mode } from '../../kernel/contract.js';
import type { ProgramName } from '../programs.js';
import type { Command } from './laboratory.js';

/** A program of others that does what one of ours does. */
export interface Tool {
  readonly name: string;
  /** How it says its version, or at least that it is there. */
  readonly version: Command;
  /** The mode of ours to set it beside. */
  readonly beside: Mode;
  /** What it does with the packets, where that is not the same as ours. */
  readonly remark?: string;
  /** What to start for a program; undefined where it has no such thing. It ends on SIGINT. */
  command(program: ProgramName, name: string, cpu: number): Command | undefined;
  /** Which part of the packets that arrived it took, by what it says at its end; 1 where it does not say. */
  share(output: string): number;
}

const TESTPMD: Readonly<Record<ProgramName, string>> = { rxdrop: 'rxonly', txpush: 'txonly', l2fwd: 'macswap' };
const XDPSOCK: Readonly<Record<ProgramName, string>> = { rxdrop: '--rxdrop', txpush: '--txonly', l2fwd: '--l2fwd' };

/** DPDK's forwarding program, over one of its drivers that need no card of their own. */
function testpmd(name: string, driver: string, beside: Mode, remark: string): Tool {
  return {
    ...{ name, version: ['dpdk-testpmd', '--version'], beside, remark },
    command(program, interfaceName, cpu) {
      // One core for the command line, which sleeps, and the same one for the packets, as different lcores.
      const cores = ['--lcores', `(0,1)@${Math.max(0, cpu)}`];
      const device = ['--no-pci', '--no-huge', '-m', '256', '--vdev', `${driver},iface=${interfaceName}`];
      const mode = ['--auto-start', `--forward-mode=${TESTPMD[program]}`, '--total-num-mbufs=16384'];
      return ['dpdk-testpmd', ...cores, ...device, '--', ...mode];
    },
    share(output) {
      return part(count(output, /RX-packets: (\d+)/), count(output, /RX-dropped: (\d+)/));
    },
  };
}

/** Those that are looked for. */
export const TOOLS: readonly Tool[] = [
  {
    name: 'tcpdump',
    version: ['tcpdump', '--version'],
    beside: 'v3',
    remark: 'takes every packet and writes it to /dev/null',
    command(program, name) {
      return program === 'rxdrop' ? ['tcpdump', '-n', '-B', '4096', '-i', name, '-w', '/dev/null'] : undefined;
    },
    share(output) {
      return part(count(output, /(\d+) packets? captured/), count(output, /(\d+) packets? dropped by kernel/));
    },
  },
  {
    name: 'xdp-bench',
    version: ['xdp-bench', 'drop', '--version'],
    beside: 'xdp-copy',
    remark: 'drops or turns back in the driver, nothing comes to a program',
    command(program, name) {
      if (program === 'txpush') return undefined;
      return ['xdp-bench', ...(program === 'rxdrop' ? ['drop', '-p', 'read-data'] : ['tx', '-p', 'swap-macs']), name];
    },
    share: () => 1,
  },
  {
    name: 'xdpsock',
    version: ['xdpsock', '--help'],
    beside: 'xdp-copy',
    command: (program, name) => ['xdpsock', XDPSOCK[program], '-i', name, '-q', '0', '-c', '-N', '-m'],
    share: () => 1,
  },
  testpmd('dpdk-testpmd', 'net_af_xdp0', 'xdp-copy', 'through its AF_XDP driver'),
  testpmd('dpdk-testpmd v2', 'net_af_packet0', 'v2', 'through its AF_PACKET driver, which has V2 rings'),
];

/** The first number that a pattern finds; 0 without one. */
function count(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

function part(taken: number, dropped: number): number {
  return taken + dropped === 0 ? 1 : taken / (taken + dropped);
}
