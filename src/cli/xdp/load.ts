import { setTimeout as sleep } from 'node:timers/promises';
import { PacketError } from '../../errors.js';
import { parseInterfaceSpec } from '../../host/interface-spec.js';
import type { ProgramHook } from '../../kernel/programs.js';
import { LinuxKernel } from '../../linux-kernel/linux-kernel.js';
import { sessionOver } from '../../linux-kernel/sessions.js';
import { interruptible } from '../bench.js';
import { CommandLine, type OptionTable } from '../options.js';
import { MAP_HELP, openGivenMaps, readMapPaths } from './given-maps.js';
import { renderMap, reportMap } from './map-report.js';
import { type NamedProgram, readNamedProgram } from './program-file.js';
import { openNamedRecords, printRecords, RECORDS_HELP } from './record-lines.js';
import { SET_HELP } from './variables.js';

const COMMAND = 'tp4 xdp load';

const HELP = `tp4 xdp load FILE IFACE [options]    attach a program to an interface of Linux (root)

The program runs on every packet that the interface receives, until the command is ended (Ctrl-C), in whatever way: then packets
go their ordinary way again. Maps that others share by name (pinned) are shared.

  --program NAME    which program, where the file has several
${SET_HELP}
${MAP_HELP}
  --hook WHERE      native (default): in the driver; generic: behind it, on any interface
  --seconds S       end after so long, 0.1 to 86400
${RECORDS_HELP}
  --maps            what is in the program's maps at the end
  --allow-cutoff    also where an ssh session comes over the interface, which the program may cut off
`;

const OPTIONS: OptionTable = {
  program: { type: 'string' },
  set: { type: 'string', multiple: true },
  map: { type: 'string', multiple: true },
  hook: { type: 'string' },
  seconds: { type: 'string' },
  records: { type: 'string' },
  maps: { type: 'boolean' },
  'allow-cutoff': { type: 'boolean' },
};

const DAY_SECONDS = 86_400;

/** `tp4 xdp load`. Returns the exit code. @throws PacketError as `LinuxKernel` does; GUARDED_INTERFACE */
export async function xdpLoad(args: readonly string[]): Promise<number> {
  const line = new CommandLine(COMMAND, args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const [file, name, ...more] = line.positionals;
  if (file === undefined || name === undefined || more.length > 0) {
    const what = more.length > 0 ? `"${more[0]}" is too many` : 'a program file and an interface are to be named';
    throw new PacketError('INVALID_OPTION', `${COMMAND}: ${what}`, { remedy: `${COMMAND} FILE IFACE` });
  }
  const hook = line.choice('hook', ['native', 'generic']) ?? 'native';
  const seconds = line.number('seconds', Number.POSITIVE_INFINITY, 0.1, DAY_SECONDS);
  checkInterface(name, line.has('allow-cutoff'));
  const named = await readNamedProgram(line, file);
  return interruptible((signal) =>
    load(
      named,
      { name, hook, seconds, given: readMapPaths(line), records: line.text('records'), maps: line.has('maps') },
      signal,
    ),
  );
}

/** What to attach where. */
interface LoadPlan {
  readonly name: string;
  readonly hook: ProgramHook;
  /** Infinite where it ends by a signal only. */
  readonly seconds: number;
  /** Paths of pinned maps, by name of those in whose place they are. */
  readonly given: ReadonlyMap<string, string>;
  /** Map whose records are shown. */
  readonly records: string | undefined;
  /** Whether to show what is in the maps at the end. */
  readonly maps: boolean;
}

async function load(
  { object, program }: NamedProgram,
  { name, hook, seconds, given, records, maps }: LoadPlan,
  signal: AbortSignal,
): Promise<number> {
  const kernel = new LinuxKernel();
  try {
    const loaded = await kernel.loadObject(object, { maps: await openGivenMaps(kernel, given), boundTo: name });
    const reader = records === undefined ? undefined : await openNamedRecords(kernel, loaded, records);
    const attachment = await kernel.attachProgram(loaded.programs[object.programs.indexOf(program)]!, {
      interface: name,
      hook,
    });
    print(`${program.name} is attached to ${name} (${hook})`);
    if (reader === undefined) await waitFor(seconds, signal);
    else await printRecords(reader, seconds, signal, print);
    reader?.close();
    await attachment.detach();
    print(`${program.name} is detached from ${name}`);
    if (maps) for (const map of loaded.maps.values()) print(['', ...renderMap(reportMap(map))].join('\n'));
    return 0;
  } finally {
    await kernel.close();
  }
}

/** Waits so long, or until the signal. */
async function waitFor(seconds: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!signal.aborted && performance.now() < end) {
    const milliseconds = Math.min(end - performance.now(), DAY_SECONDS * 1000);
    await sleep(milliseconds, undefined, { signal }).catch(() => undefined); // it is rejected where the signal comes first
  }
}

function checkInterface(name: string, allowCutoff: boolean): void {
  if (parseInterfaceSpec(name).kernel === 'soft') {
    throw new PacketError('INVALID_OPTION', `${name} is no interface of Linux: a soft one ends with the command`, {
      remedy: 'tp4 xdp run tries programs on captures',
    });
  }
  if (allowCutoff || sessionOver(name) === undefined) return;
  throw new PacketError('GUARDED_INTERFACE', `an ssh session comes over ${name}, and the program may cut it off`, {
    remedy: 'work over another interface, or say --allow-cutoff',
  });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
