import { describeDevices } from '../host/devices.js';
import { factOf } from '../kernel/answer.js';
import type { AttachedProgram, DeviceReport, ModeAnswer, XdpFeatures } from '../kernel/device-report.js';
import { CommandLine, type OptionTable } from './options.js';

const HELP = `tp4 devices [IFACE...] [options]    interfaces, and which modes would work on them

IFACE is an interface of this network namespace, or a soft one such as soft:generator,size=64. Default: all of the namespace.
Nothing is opened or changed. Without privilege everything is shown that the kernel tells, and the modes say what is lacking.

  --json    an array of objects on standard output
`;

const OPTIONS: OptionTable = { json: { type: 'boolean' } };

/** `tp4 devices`. Returns the exit code. @throws PacketError NO_INTERFACE, INVALID_OPTION, UNSUPPORTED_PLATFORM */
export async function devices(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 devices', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const reports = await describeDevices(line.positionals);
  const text = line.has('json') ? JSON.stringify(reports, undefined, 2) : reports.map(renderDevice).join('\n\n');
  process.stdout.write(`${text}\n`);
  return 0;
}

/** Fits the longest label and two spaces. */
const LABEL_WIDTH = 10;

/** One interface as a block of lines: a heading, then labels and facts. */
export function renderDevice(report: DeviceReport): string {
  const lines: [label: string, text: string][] = [
    ['link', renderLink(report)],
    ['queues', renderQueues(report)],
  ];
  if (report.rings !== undefined) {
    const { receive, transmit, mostReceive, mostTransmit } = report.rings;
    lines.push([
      'rings',
      `${receive} receive (at most ${mostReceive}), ${transmit} transmit (at most ${mostTransmit})`,
    ]);
  }
  if (report.offloads !== undefined) {
    const states = Object.entries(report.offloads);
    const on = states.filter(([, state]) => state).map(([name]) => name);
    const off = states.filter(([, state]) => !state).map(([name]) => name);
    lines.push(['offloads', on.length === 0 ? 'none on' : `on: ${on.join(' ')}`]);
    if (off.length > 0) lines.push(['', `off: ${off.join(' ')}`]);
  }
  lines.push(['XDP', report.xdp.known ? renderFeatures(report.xdp.value) : `cannot tell: ${report.xdp.why}`]);
  for (const program of factOf(report.programs) ?? []) lines.push(['program', renderProgram(program)]);
  if (!report.programs.known) lines.push(['program', `cannot tell: ${report.programs.why}`]);
  const width = Math.max(...report.modes.map(({ mode }) => mode.length));
  report.modes.forEach((mode, i) => {
    lines.push([i === 0 ? 'modes' : '', renderMode(mode, width)]);
  });
  for (const warning of report.warnings ?? []) lines.push(['warning', warning]);
  const body = lines.map(([label, text]) => `  ${label.padEnd(LABEL_WIDTH)}${text}`);
  return [`${report.name}: ${report.driver || 'unknown driver'}, ${report.kernel} kernel`, ...body].join('\n');
}

function renderLink({ up, carrier, speed, mtu, mac, promiscuous }: DeviceReport): string {
  const state = !up ? 'down' : carrier === false ? 'up, no carrier' : 'up';
  const rate = speed === undefined ? [] : [speed >= 1000 ? `${speed / 1000} Gbit/s` : `${speed} Mbit/s`];
  return [state, ...rate, `mtu ${mtu}`, mac, ...(promiscuous === true ? ['promiscuous'] : [])].join(', ');
}

function renderQueues({ queues: { receive, transmit, combined = 0, most } }: DeviceReport): string {
  const counts =
    combined > 0 && combined === receive && combined === transmit
      ? `${combined} combined`
      : `${receive} receive, ${transmit} transmit`;
  return most === undefined ? counts : `${counts} (at most ${most})`;
}

/** What the driver can do, then what it cannot. */
function renderFeatures(features: XdpFeatures): string {
  const { native, redirect, transmitRedirected, zeroCopy, zeroCopySegments = 0, receiveSegments } = features;
  const { hardwareOffload, receiveMetadata, transmitMetadata } = features;
  const abilities: readonly (readonly [text: string, has: boolean])[] = [
    ['native', native],
    ['redirect', redirect],
    ['zero-copy', zeroCopy],
    ['segments', receiveSegments],
  ];
  const has = abilities.filter(([, has]) => has).map(([text]) => text);
  if (zeroCopySegments > 1) has.push(`${zeroCopySegments} segments in zero-copy`);
  if (transmitRedirected) has.push('sends what is redirected to it');
  if (hardwareOffload) has.push('offload');
  if (receiveMetadata.length > 0) has.push(`metadata of received packets: ${receiveMetadata.join(' ')}`);
  if (transmitMetadata.length > 0) has.push(`for sending: ${transmitMetadata.join(' ')}`);
  const lacks = abilities.filter(([, has]) => !has).map(([text]) => `no ${text}`);
  return [...has, ...lacks].join(', ');
}

function renderProgram({ id, mode, name }: AttachedProgram): string {
  const text = name.known ? name.value || 'unnamed' : `name unknown: ${name.why}`;
  return `${id} (${text}), ${mode}`;
}

const WORDS = { works: 'works', 'does-not': 'no', 'cannot-tell': 'cannot tell' } as const;

function renderMode(mode: ModeAnswer, width: number): string {
  const name = mode.mode.padEnd(width);
  if (mode.answer === 'works') return `${name}  works`;
  const remedy = mode.remedy === undefined ? '' : ` (${mode.remedy})`;
  return `${name}  ${WORDS[mode.answer]}: ${mode.why}${remedy}`;
}
