import { CommandLine, type OptionTable } from '../options.js';
import { type MapReport, renderMap, reportMap } from './map-report.js';
import { type PacketReport, renderPackets, reportPacket } from './packet-report.js';
import type { PacketRunner } from './packet-runner.js';
import { type NumberedPacket, readPackets } from './packets.js';
import { fileArgument, readNamedProgram } from './program-file.js';
import { TraceReporter } from './trace-text.js';
import { openRunner, readTrialOptions, TRIAL_HELP, TRIAL_OPTIONS } from './trial-options.js';
import { verdictWord } from './verdicts.js';

const COMMAND = 'tp4 xdp run';

const HELP = `tp4 xdp run FILE --capture CAPTURE [options]    run a program over the packets of a capture

Shows the verdict on each packet, how many instructions it took, and what became of it; then how many had which verdict, and the time
that a packet takes on average: measured apart, on maps of its own.

${TRIAL_HELP}
  --summary         leave the lines of packets out
  --trace           each instruction that was executed, with the registers that it wrote
  --maps            what is in the program's maps at the end
  --seconds S       how long to measure, 0 to 60, 0 for not at all; default 0.2
  --json            an object on standard output
`;

const OPTIONS: OptionTable = {
  ...TRIAL_OPTIONS,
  summary: { type: 'boolean' },
  trace: { type: 'boolean' },
  maps: { type: 'boolean' },
  seconds: { type: 'string' },
  json: { type: 'boolean' },
};

/** What the command has found out, as `--json` prints it. */
interface RunReport {
  readonly program: string;
  /** What has run it. */
  readonly kernel: string;
  /** One for each packet; undefined with `--summary`. */
  readonly packets: readonly PacketReport[] | undefined;
  /** How many packets had each verdict. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Instructions of a packet, on average; undefined in Linux. */
  readonly instructions: number | undefined;
  /** Nanoseconds of a packet, on average; undefined where nothing was measured. */
  readonly nanoseconds: number | undefined;
  /** Undefined without `--maps`. */
  readonly maps: readonly MapReport[] | undefined;
}

/**
 * `tp4 xdp run`. Returns the exit code.
 *
 * @throws PacketError INVALID_OPTION, SYSTEM_CALL, PROGRAM_CORRUPT, PROGRAM_REFUSED, MAP_UNSUPPORTED, ARENA_EXHAUSTED, CAPTURE_CORRUPT,
 *   CAPTURE_UNSUPPORTED
 */
export async function xdpRun(args: readonly string[]): Promise<number> {
  const line = new CommandLine(COMMAND, args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const report = await run(line);
  const text = line.has('json') ? JSON.stringify(report, undefined, 2) : renderRun(report).join('\n');
  process.stdout.write(`${text}\n`);
  return 0;
}

async function run(line: CommandLine): Promise<RunReport> {
  if (line.has('summary')) line.expectNone(['trace'], 'with --summary');
  const seconds = line.number('seconds', 0.2, 0, 60);
  const options = readTrialOptions(line);
  const named = await readNamedProgram(line, fileArgument(line, COMMAND));
  const packets = await readPackets(line, COMMAND);
  const runner = await openRunner(options, named, packets);
  try {
    return await runAll(line, named.program.name, packets, runner, seconds);
  } finally {
    await runner.close();
  }
}

async function runAll(
  line: CommandLine,
  program: string,
  packets: readonly NumberedPacket[],
  runner: PacketRunner,
  seconds: number,
): Promise<RunReport> {
  const reporter = runner.landmarks && new TraceReporter(runner.landmarks);
  const reports: PacketReport[] = [];
  const verdicts: Record<string, number> = {};
  let executed: number | undefined = 0;
  for (const packet of packets) {
    const outcome = runner.run(packet.bytes, line.has('trace'));
    const word = verdictWord(outcome.verdict);
    verdicts[word] = (verdicts[word] ?? 0) + 1;
    executed = outcome.executed === undefined ? undefined : (executed ?? 0) + outcome.executed;
    if (!line.has('summary')) reports.push(reportPacket(packet, outcome, reporter));
  }
  const bytes = packets.map((packet) => packet.bytes);
  return {
    program,
    kernel: runner.name,
    packets: line.has('summary') ? undefined : reports,
    verdicts,
    instructions: executed === undefined ? undefined : executed / packets.length,
    nanoseconds: seconds > 0 ? await runner.measure(bytes, seconds) : undefined,
    maps: line.has('maps') ? runner.maps.map(reportMap) : undefined,
  };
}

function renderRun({ kernel, packets, verdicts, instructions, nanoseconds, maps }: RunReport): string[] {
  const counts = Object.entries(verdicts).sort(([, a], [, b]) => b - a);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const costs: string[] = [];
  if (instructions !== undefined) costs.push(`${instructions.toFixed(1)} instructions`);
  if (nanoseconds !== undefined) costs.push(`${nanoseconds.toFixed(0)} ns in ${kernel}`);
  return [
    ...(packets === undefined ? [] : [...renderPackets(packets), '']),
    `${total} ${total === 1 ? 'packet' : 'packets'}: ${counts.map(([word, count]) => `${count} ${word}`).join(', ')}`,
    ...(costs.length === 0 ? [] : [`a packet takes ${costs.join(' and ')} on average`]),
    ...(maps ?? []).flatMap((map) => ['', ...renderMap(map)]),
  ];
}
