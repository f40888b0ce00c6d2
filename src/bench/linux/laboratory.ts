import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PacketError } from '../../errors.js';
import { type CommandOptions, runCommand } from '../rings/child.js';

/** One end of the laboratory's veth pair. Its addresses are those that the C peers write into their packets. */
export interface LaboratoryEnd {
  readonly interface: string;
  readonly mac: string;
}

export const NEAR: LaboratoryEnd = { interface: 'tp4near', mac: '02:00:00:00:00:0a' };
export const FAR: LaboratoryEnd = { interface: 'tp4far', mac: '02:00:00:00:00:0b' };

/** Counts of an interface since it was made, in packets (/proc/net/dev). */
export interface InterfaceCounters {
  readonly received: number;
  /** Refused by the receiving side of the interface or dropped by the stack behind it. */
  readonly receiveDropped: number;
  readonly sent: number;
  /** Refused by the other end, whose queue was full. */
  readonly sendDropped: number;
}

/** A command with its arguments. */
export type Command = readonly [command: string, ...args: string[]];

const SET_UP_MILLISECONDS = 10_000;

/**
 * Enters fresh namespaces, shows their interfaces in /sys, silences IPv6, says so and sleeps until standard input ends: when the
 * process that holds the other end of it dies, however, this one does, too, and the kernel removes the namespaces.
 */
const HOLDER = `mount -t sysfs sysfs /sys || exit 1
for f in all default; do f=/proc/sys/net/ipv6/conf/$f/disable_ipv6; [ ! -e $f ] || echo 1 >$f; done
echo ready
exec cat >/dev/null`;

/**
 * Two network namespaces without names, joined by a veth pair, for measurements on the real kernel. Nothing of it is to be seen
 * outside, and nothing of it outlives this process, whatever ends it. Its tools are those of util-linux and iproute2.
 *
 * The near end is the one that is measured; generic receive offload is on there, so that it takes live frames without an XDP
 * program. At the far end packets are counted and dropped by the stack, to which their EtherType says nothing.
 */
export class Laboratory {
  readonly #near: ChildProcess;
  readonly #far: ChildProcess;

  private constructor(near: ChildProcess, far: ChildProcess) {
    this.#near = near;
    this.#far = far;
  }

  /** @throws PacketError UNSUPPORTED_PLATFORM, NO_PRIVILEGE, SYSTEM_CALL; the signal's reason when it is aborted */
  static async create(signal: AbortSignal): Promise<Laboratory> {
    if (process.platform !== 'linux') {
      throw new PacketError('UNSUPPORTED_PLATFORM', `network namespaces need Linux, not ${process.platform}`, {
        remedy: 'tp4 bench measures the soft kernel, which runs everywhere',
      });
    }
    const laboratory = new Laboratory(startHolder(), startHolder());
    try {
      await Promise.all([isReady(laboratory.#near), isReady(laboratory.#far)]);
      await laboratory.#connect(signal);
      return laboratory;
    } catch (error) {
      laboratory.close();
      throw error;
    }
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const set = (end: LaboratoryEnd, ...command: Command): Promise<unknown> => {
      return this.run(end, command, { timeoutMilliseconds: SET_UP_MILLISECONDS, signal });
    };
    const near = ['name', NEAR.interface, 'address', NEAR.mac];
    const far = ['name', FAR.interface, 'address', FAR.mac, 'netns', String(this.#far.pid)];
    await set(NEAR, 'ip', 'link', 'add', ...near, 'type', 'veth', 'peer', ...far);
    for (const end of [NEAR, FAR]) {
      for (const name of ['lo', end.interface]) await set(end, 'ip', 'link', 'set', name, 'up');
    }
    const offload = fileURLToPath(new URL('./receive-offload-process.js', import.meta.url));
    await set(NEAR, process.execPath, offload, NEAR.interface);
  }

  /** How to start a command at one end such that it dies with this process. Relative paths mean the root folder there. */
  inside(end: LaboratoryEnd, command: Command): Command {
    const holder = end === NEAR ? this.#near : this.#far;
    const enter = ['--target', String(holder.pid), '--net', '--mount'];
    return ['nsenter', ...enter, 'setpriv', '--pdeathsig', 'KILL', ...command];
  }

  /** Runs a command at one end to its end; see `runCommand`. */
  run(end: LaboratoryEnd, command: Command, options: CommandOptions): Promise<string[]> {
    const [file, ...args] = this.inside(end, command);
    return runCommand(file, args, { ...options, detached: true });
  }

  /**
   * Starts a command at one end, out of reach of the terminal's Ctrl-C.
   * @param input what it reads: nothing, or from a pipe that stays open
   */
  start(end: LaboratoryEnd, command: Command, input: 'none' | 'open' = 'none'): ChildProcess {
    const [file, ...args] = this.inside(end, command);
    return spawn(file, args, { stdio: [input === 'open' ? 'pipe' : 'ignore', 'pipe', 'pipe'], detached: true });
  }

  /** The counters of one end's interface. */
  counters(end: LaboratoryEnd): InterfaceCounters {
    const holder = end === NEAR ? this.#near : this.#far;
    return parseCounters(readFileSync(`/proc/${holder.pid}/net/dev`, 'utf8'), end.interface);
  }

  /** Lets the kernel remove the namespaces, once what was started in them has ended. Idempotent. */
  close(): void {
    for (const holder of [this.#near, this.#far]) holder.kill('SIGKILL');
  }
}

/** The counters of an interface in the text of /proc/net/dev. @throws Error when it is not there */
export function parseCounters(text: string, name: string): InterfaceCounters {
  const line = text.split('\n').find((one) => one.trimStart().startsWith(`${name}:`));
  if (line === undefined) throw new Error(`no counters of ${name}`);
  const fields = line
    .slice(line.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  return { received: fields[1]!, receiveDropped: fields[3]!, sent: fields[9]!, sendDropped: fields[11]! };
}

function startHolder(): ChildProcess {
  const args = ['--net', '--mount', 'sh', '-c', HOLDER];
  return spawn('unshare', args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
}

function isReady(holder: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let complaint = '';
    holder.stderr!.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    holder.stdin!.on('error', () => {}); // it may be gone before we let go of it
    holder.stdout!.setEncoding('utf8').on('data', () => resolve());
    holder.on('error', (cause) =>
      reject(
        new PacketError('SYSTEM_CALL', `unshare does not start: ${cause.message}`, {
          cause,
          remedy: 'install util-linux',
        }),
      ),
    );
    holder.on('close', () => {
      const remedy = 'run it as root (CAP_SYS_ADMIN and CAP_NET_ADMIN)';
      reject(new PacketError('NO_PRIVILEGE', `cannot make a network namespace: ${complaint.trim()}`, { remedy }));
    });
  });
}
