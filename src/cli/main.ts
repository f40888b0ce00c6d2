#!/usr/bin/env node
import { packageVersion } from '../bench/environment.js';
import { PacketError } from '../errors.js';
import { didYouMean } from '../suggestion.js';

/** A command: loaded when it is asked for, so that the others cost nothing. */
interface Command {
  readonly summary: string;
  load(): Promise<(args: readonly string[]) => Promise<number>>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  bench: {
    summary: "measure: the talk's comparison of V2, V3, V4 and zero-copy; the Linux kernel; rings; scale; xdp",
    load: async () => (await import('./bench.js')).bench,
  },
  devices: {
    summary: 'list interfaces: driver, queues, link, offloads, XDP, and which modes would work',
    load: async () => (await import('./devices.js')).devices,
  },
  doctor: {
    summary: 'say what stands in the way of packet sockets, and the command that helps',
    load: async () => (await import('./doctor.js')).doctor,
  },
  filter: {
    summary: "tcpdump's filter expressions: what they are compiled to, and which packets of a capture they accept",
    load: async () => (await import('./filter.js')).filter,
  },
  steer: {
    summary: 'rules that say which packets a socket gets: which wins, what they become; n-tuple entries of devices',
    load: async () => (await import('./steer.js')).steer,
  },
  xdp: {
    summary: 'XDP programs: run one over a capture and see what becomes of each packet, and why; disassemble; attach',
    load: async () => (await import('./xdp.js')).xdp,
  },
};

// Exit codes: the work was done; it failed; the command line was wrong.
const DONE = 0;
const FAILED = 1;
const USAGE = 2;

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--version' || name === '-v') {
    process.stdout.write(`tp4 ${packageVersion()}\n`);
    return DONE;
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const topic = name === 'help' ? rest[0] : undefined;
    if (topic !== undefined && Object.hasOwn(COMMANDS, topic)) return (await COMMANDS[topic]!.load())(['--help']);
    (name === undefined ? process.stderr : process.stdout).write(help());
    return name === undefined ? USAGE : DONE;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    const what = name.startsWith('-') ? 'option' : 'command';
    throw new PacketError('INVALID_OPTION', `there is no ${what} ${name}${didYouMean(name, Object.keys(COMMANDS))}`, {
      remedy: 'tp4 --help lists the commands',
    });
  }
  return (await COMMANDS[name]!.load())(rest);
}

function help(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `tp4: packet rings, zero-copy and kernels to try them on

usage: tp4 COMMAND [options]

${lines.join('\n')}

  tp4 COMMAND --help    what a command can do
  tp4 --version
`;
}

/** One line of what went wrong and one of what to do. */
function complain(error: unknown): number {
  if (!(error instanceof PacketError)) {
    process.stderr.write(`tp4: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return FAILED;
  }
  process.stderr.write(`tp4: ${error.message}\n`);
  process.stderr.write(`     ${error.remedy}\n`);
  return error.code === 'INVALID_OPTION' || error.code === 'FILTER_SYNTAX' ? USAGE : FAILED;
}

// Whoever reads our output may stop reading (`tp4 ... | head`): that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(DONE);
  throw error;
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = complain(error);
}
