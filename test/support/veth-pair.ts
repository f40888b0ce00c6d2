import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';

/** Names of the namespaces made here: this prefix, the process that made them, a running number, and the side. */
const PREFIX = 'tp4t';
let made = 0;

/** For interfaces still to come, so that none announces itself. A kernel without IPv6 has no such file. */
const NO_IPV6 = 'f=/proc/sys/net/ipv6/conf/default/disable_ipv6; [ ! -e $f ] || echo 1 >$f';

/** One end of a veth pair, alone with `lo` in a network namespace of its own. */
export interface VethEnd {
  readonly namespace: string;
  readonly interface: string;
  readonly mac: string;
}

export interface VethPairOptions {
  /** Queue pairs of either end; default 1. */
  readonly queues?: number;
  /** Default 1500. */
  readonly mtu?: number;
  /** Both ends in the near end's namespace, for programs that open sockets at both; default false. */
  readonly together?: boolean;
}

/** What a program said and how it ended. */
export interface ProgramResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs at one end. */
export interface RunningProgram {
  readonly process: ChildProcess;
  /** Resolves when the program has written this line. Rejects when it ends before. */
  line(text: string): Promise<void>;
  /** Resolves when the program has ended. */
  readonly result: Promise<ProgramResult>;
}

/**
 * Network namespaces joined by a veth pair, for tests on a real kernel: one for each end, or one for both. They are removed by
 * `close`, when this process exits, and otherwise by the next one that makes a pair. IPv6 is off, so that no packets move but the test's own.
 */
export class VethPair {
  readonly near: VethEnd;
  readonly far: VethEnd;
  readonly #owned: boolean;
  readonly #programs = new Set<ChildProcess>();
  readonly #onExit = (): void => this.#remove();
  #closed = false;

  private constructor(near: VethEnd, far: VethEnd, owned: boolean) {
    this.near = near;
    this.far = far;
    this.#owned = owned;
    process.once('exit', this.#onExit);
  }

  static create({ queues = 1, mtu = 1500, together = false }: VethPairOptions = {}): VethPair {
    removeAbandoned();
    const stem = `${PREFIX}${process.pid}x${made++}`;
    const near = { namespace: `${stem}a`, interface: 'tp4near', mac: '02:00:00:00:00:0a' };
    const far = { namespace: `${stem}${together ? 'a' : 'b'}`, interface: 'tp4far', mac: '02:00:00:00:00:0b' };
    const pair = new VethPair(near, far, true);
    try {
      for (const namespace of pair.#namespaces()) {
        ip('netns', 'add', namespace);
        inNamespace(namespace, 'sh', '-c', NO_IPV6);
      }
      const count = ['numrxqueues', String(queues), 'numtxqueues', String(queues)];
      ip(
        ...['link', 'add', near.interface, 'netns', near.namespace, 'address', near.mac, 'mtu', String(mtu), ...count],
        ...[
          'type',
          'veth',
          'peer',
          'name',
          far.interface,
          'netns',
          far.namespace,
          'address',
          far.mac,
          'mtu',
          String(mtu),
          ...count,
        ],
      );
      for (const end of [near, far]) {
        for (const name of ['lo', end.interface]) ip('-n', end.namespace, 'link', 'set', name, 'up');
      }
    } catch (error) {
      pair.close();
      throw error;
    }
    return pair;
  }

  /** The pair that the process which started this one has made (`start` says so in the environment). */
  static inherited(): VethPair {
    const { near, far } = JSON.parse(process.env.TP4_VETH_PAIR ?? '{}') as { near?: VethEnd; far?: VethEnd };
    if (near === undefined || far === undefined) throw new Error('not started by VethPair.start');
    return new VethPair(near, far, false);
  }

  /** Starts `node script ...args` at one end. It is killed by `close`. */
  start(end: VethEnd, script: string, ...args: (string | number)[]): RunningProgram {
    return this.startCommand(end, process.execPath, script, ...args.map(String));
  }

  /** The same for any command. */
  startCommand(end: VethEnd, command: string, ...args: string[]): RunningProgram {
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env; // a test runner of its own, not a part of ours
    const { near, far } = this;
    const program = spawn('ip', ['netns', 'exec', end.namespace, command, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...environment, TP4_VETH_PAIR: JSON.stringify({ near, far }) },
    });
    this.#programs.add(program);
    let stdout = '';
    let stderr = '';
    const waiting: { text: string; resolve: () => void; reject: (error: Error) => void }[] = [];
    const look = (): void => {
      for (const wanted of waiting) if (stdout.split('\n').includes(wanted.text)) wanted.resolve();
    };
    program.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      look();
    });
    program.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const result = new Promise<ProgramResult>((resolve, reject) => {
      program.on('error', reject);
      program.on('close', (status, signal) => {
        this.#programs.delete(program);
        const error = new Error(`the program ended (status ${status}, signal ${signal}):\n${stdout}${stderr}`);
        for (const { reject } of waiting) reject(error);
        resolve({ status, signal, stdout, stderr });
      });
    });
    const line = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        waiting.push({ text, resolve, reject });
        look();
      });
    return { process: program, line, result };
  }

  /** Runs a command at one end and returns what it wrote. */
  run(end: VethEnd, command: string, ...args: string[]): string {
    return inNamespace(end.namespace, command, ...args);
  }

  /** Kills what still runs and removes the namespaces, and with them the pair. Idempotent. */
  close(): void {
    process.off('exit', this.#onExit);
    this.#remove();
  }

  #remove(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const program of this.#programs) program.kill('SIGKILL');
    if (this.#owned) for (const namespace of this.#namespaces()) removeNamespace(namespace);
  }

  #namespaces(): Set<string> {
    return new Set([this.near.namespace, this.far.namespace]);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Names of the namespaces of this kind that exist. */
export function testNamespaces(): string[] {
  try {
    return readdirSync('/run/netns').filter((name) => name.startsWith(PREFIX));
  } catch {
    return []; // no namespace was ever named here
  }
}

/** Removes what processes left that were killed. */
function removeAbandoned(): void {
  for (const name of testNamespaces()) {
    const pid = Number(/^tp4t(\d+)x\d+[ab]$/.exec(name)?.[1]);
    if (pid > 0 && !isAlive(pid)) removeNamespace(name);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function removeNamespace(name: string): void {
  try {
    ip('netns', 'del', name);
  } catch {
    // it was not made yet, or is gone
  }
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function inNamespace(namespace: string, command: string, ...args: string[]): string {
  return ip('netns', 'exec', namespace, command, ...args);
}
