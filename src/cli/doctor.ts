import { PacketError } from '../errors.js';
import { parseInterfaceSpec } from '../host/interface-spec.js';
import type { Diagnosis, Finding, InterfaceDiagnosis } from '../linux-kernel/doctor/contract.js';
import { diagnose } from '../linux-kernel/doctor/diagnose.js';
import { type RepairReport, repair } from '../linux-kernel/repair.js';
import { SystemCalls } from '../linux-kernel/system-calls.js';
import { CommandLine, type OptionTable } from './options.js';

const HELP = `tp4 doctor [IFACE] [options]    what stands in the way of packet sockets, with the commands that fix it

Examines this machine and, where one is named, an interface of this network namespace. Changes nothing, unless told to repair.

  ok       it works
  note     it works, with less than one may expect
  PROBLEM  it does not work: the line below is the command (or the option of openSocket) that helps
  ?        nobody tells, and why

  --json      what was found, as an object on standard output
  --repair    undo what programs left behind that were killed: settings of interfaces, as the journal in /run/tp4 has them

Exit code: 0 when nothing stands in the way, 1 when something does, 2 when the command line is wrong.
`;

const OPTIONS: OptionTable = { json: { type: 'boolean' }, repair: { type: 'boolean' } };

/** `tp4 doctor`. Returns the exit code. @throws PacketError NO_INTERFACE, INVALID_OPTION */
export async function doctor(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 doctor', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const [name, ...more] = line.positionals;
  checkInterface(name, more);
  const json = line.has('json');
  if (line.has('repair')) {
    if (name !== undefined)
      throw new PacketError('INVALID_OPTION', `--repair undoes everything that was left behind: no "${name}"`, {
        remedy: 'leave the interface out',
      });
    await SystemCalls.load().catch(() => undefined); // for the journal's lock; where there are none there is nothing to repair
    const report = repair();
    print(json ? JSON.stringify(report, undefined, 2) : renderRepair(report));
    return report.repairs.some(({ outcome }) => outcome === 'kept') ? 1 : 0;
  }
  const diagnosis = await diagnose(name);
  print(json ? JSON.stringify(diagnosis, undefined, 2) : renderDiagnosis(diagnosis));
  return diagnosis.clear ? 0 : 1;
}

function checkInterface(name: string | undefined, more: readonly string[]): void {
  if (more.length > 0)
    throw new PacketError('INVALID_OPTION', `one interface at a time: "${more[0]}" is too many`, {
      remedy: 'tp4 devices takes several',
    });
  if (name !== undefined && parseInterfaceSpec(name).kernel === 'soft') {
    throw new PacketError('INVALID_OPTION', `nothing stands in the way of a soft interface such as ${name}`, {
      remedy: `tp4 devices ${name} describes it`,
    });
  }
}

/** Sections with a line for each finding, its remedy below. */
export function renderDiagnosis({ clear, machine, interfaces }: Diagnosis): string {
  const sections = [['machine', ...renderFindings(machine)]];
  const examined = interfaces.filter(({ findings }) => findings.length > 0);
  for (const { name, findings } of examined) sections.push([name, ...renderFindings(findings)]);
  if (examined.length === 0 && interfaces.length > 0) sections.push(['interfaces', ...renderList(interfaces)]);
  const conclusion = clear ? 'Nothing stands in the way.' : 'Something stands in the way; the arrows say what helps.';
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n\n${conclusion}`;
}

function renderFindings(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings.flatMap((finding) => {
    const line = `  ${mark(finding).padEnd(7)}  ${finding.check.padEnd(width)}  ${finding.what}`;
    return finding.remedy === undefined ? [line] : [line, `${' '.repeat(width + 13)}-> ${finding.remedy}`];
  });
}

function mark({ answer, severity }: Finding): string {
  if (answer === 'cannot-tell') return '?';
  return { none: 'ok', hampers: 'note', blocks: 'PROBLEM' }[severity];
}

/** Every interface with the modes that work or may work. */
function renderList(interfaces: readonly InterfaceDiagnosis[]): string[] {
  const width = Math.max(...interfaces.map(({ name }) => name.length));
  return interfaces.map(({ name, modes }) => {
    const words = modes.flatMap(({ mode, answer }) =>
      answer === 'works' ? [mode] : answer === 'cannot-tell' ? [`${mode}?`] : [],
    );
    return `  ${name.padEnd(width)}  ${words.length === 0 ? `no mode works: tp4 doctor ${name}` : words.join(' ')}`;
  });
}

function renderRepair({ repairs, discarded }: RepairReport): string {
  const lines = repairs.map(({ change, outcome, why, remedy }) => {
    const what = `${change.setting} of ${change.interface}`;
    if (outcome === 'undone') return `undone: ${what} is ${change.before} again (it was left at ${change.after})`;
    if (outcome === 'void') return `nothing to undo: ${what} was changed since, or is gone`;
    return `not undone: ${what}: ${why}${remedy === undefined ? '' : `\n  -> ${remedy}`}`;
  });
  for (const path of discarded) lines.push(`removed: ${path} was damaged`);
  return lines.length === 0 ? 'Nothing was left behind.' : lines.join('\n');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
