import { describeDevices } from '../../host/devices.js';
import type { DeviceReport } from '../../kernel/device-report.js';
import { CommandLine, type OptionTable } from '../options.js';

const HELP = `tp4 xdp list [IFACE...] [options]    the XDP programs that are attached to interfaces of Linux

IFACE is an interface of this network namespace; default: all of them.

  --json    an array of objects on standard output
`;

const OPTIONS: OptionTable = { json: { type: 'boolean' } };

/** `tp4 xdp list`. Returns the exit code. @throws PacketError NO_INTERFACE, INVALID_OPTION, UNSUPPORTED_PLATFORM */
export async function xdpList(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 xdp list', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const reports = await describeDevices(line.positionals);
  const listed = reports.map(({ name, programs }) => ({ interface: name, programs }));
  const text = line.has('json') ? JSON.stringify(listed, undefined, 2) : reports.map(renderInterface).join('\n');
  process.stdout.write(`${text}\n`);
  return 0;
}

/** A line for each program of an interface, or one that says that there is none. */
function renderInterface({ name: interfaceName, programs }: DeviceReport): string {
  if (!programs.known) return `${interfaceName}: cannot tell: ${programs.why}`;
  if (programs.value.length === 0) return `${interfaceName}: no program`;
  return programs.value
    .map(({ id, mode, name }) => `${interfaceName}: ${name.known ? name.value || 'unnamed' : '?'}, id ${id}, ${mode}`)
    .join('\n');
}
