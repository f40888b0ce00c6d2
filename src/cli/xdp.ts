import { PacketError } from '../errors.js';
import { didYouMean } from '../suggestion.js';

const HELP = `tp4 xdp run FILE --capture CAPTURE [options]     run a program over a capture: the verdict on each packet, a trace, maps
tp4 xdp test FILE --capture CAPTURE [options]    the same as a check: exit code 1 unless the verdicts are those expected
tp4 xdp dump FILE [options]                      disassemble
tp4 xdp load FILE IFACE [options]                attach a program to an interface of Linux, until the command ends
tp4 xdp list [IFACE...]                          what is attached to interfaces of Linux

FILE is an object as clang makes it (-target bpf), or eBPF assembler in the kernel's own notation: docs/xdp.md describes it. run and test
attach nothing: programs run in the engine of this package, without Linux or root, or are tried by the Linux kernel.

  tp4 xdp COMMAND --help    the options of a command
`;

type Command = (args: readonly string[]) => Promise<number>;

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./xdp/run.js')).xdpRun,
  test: async () => (await import('./xdp/test.js')).xdpTest,
  dump: async () => (await import('./xdp/dump.js')).xdpDump,
  load: async () => (await import('./xdp/load.js')).xdpLoad,
  list: async () => (await import('./xdp/list.js')).xdpList,
};

/** `tp4 xdp`. Returns the exit code. @throws PacketError INVALID_OPTION and others */
export async function xdp(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--help' || name === '-h') {
    process.stdout.write(HELP);
    return 0;
  }
  if (name !== undefined && Object.hasOwn(COMMANDS, name)) return (await COMMANDS[name]!())(rest);
  const names = Object.keys(COMMANDS);
  const what = name === undefined ? 'tp4 xdp: no command is named' : `there is no command tp4 xdp ${name}`;
  throw new PacketError('INVALID_OPTION', `${what}${name === undefined ? '' : didYouMean(name, names)}`, {
    remedy: `it may be ${names.join(', ')}; tp4 xdp --help tells what they do`,
  });
}
