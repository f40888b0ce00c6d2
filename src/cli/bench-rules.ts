import { alignColumns, type Spread, spreadOf } from '../bench/rings/spread.js';
import { linuxCase, type RuleCase, softCase } from '../bench/rules/measure.js';
import { interruptible } from './bench.js';
import { CommandLine, type OptionTable } from './options.js';

const HELP = `tp4 bench rules [options]    cost per packet as the rules of a socket grow: the soft kernel's table, the XDP program in Linux

  --runs N          rounds, of which the median counts, 1 to 100 (9)
  --json            figures as JSON on standard output
`;

const OPTIONS: OptionTable = { runs: { type: 'string' }, json: { type: 'boolean' } };

const COUNTS = [1, 16, 256, 2048, 8192] as const;

interface Row {
  readonly engine: 'soft' | 'linux';
  readonly rules: number;
  readonly nanoseconds: Spread;
  /** To one rule, round by round. */
  readonly ratio: Spread;
}

/** `tp4 bench rules`. Returns the exit code. @throws PacketError INVALID_OPTION, SYSTEM_CALL */
export async function benchRules(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 bench rules', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const runs = line.number('runs', 9, 1, 100);
  return interruptible(async (signal) => {
    const rows = await measure('soft', async (count) => softCase(count), runs, signal);
    rows.push(...(await measure('linux', linuxCase, runs, signal)));
    if (line.has('json')) process.stdout.write(`${JSON.stringify({ results: rows }, undefined, 2)}\n`);
    else process.stdout.write(render(rows));
    return 0;
  });
}

/** All cases in turn, round after round, so that a machine that is busy for a while is so for all of them. */
async function measure(
  engine: Row['engine'],
  open: (count: number) => Promise<RuleCase | string>,
  runs: number,
  signal: AbortSignal,
): Promise<Row[]> {
  const cases: RuleCase[] = [];
  try {
    for (const count of COUNTS) {
      const opened = await open(count);
      if (typeof opened === 'string') {
        process.stderr.write(`tp4 bench rules: no figures of ${engine}: ${opened}\n`);
        return [];
      }
      opened.measure(); // warm
      cases.push(opened);
    }
    const figures: number[][] = [];
    for (let run = 0; run < runs; run++) {
      signal.throwIfAborted();
      figures.push(cases.map((one) => one.measure()));
    }
    return COUNTS.map((rules, i) => ({
      engine,
      rules,
      nanoseconds: spreadOf(figures.map((round) => round[i]!)),
      ratio: spreadOf(figures.map((round) => round[i]! / round[0]!)),
    }));
  } finally {
    for (const one of cases) one.close();
  }
}

function render(rows: readonly Row[]): string {
  const text = ({ median, min, max }: Spread, places: number): string =>
    `${median.toFixed(places)} (${min.toFixed(places)} to ${max.toFixed(places)})`;
  const lines = rows.map(({ engine, rules, nanoseconds, ratio }) => [
    engine === 'soft' ? "soft kernel's table" : 'XDP program in Linux',
    String(rules),
    text(nanoseconds, 1),
    text(ratio, 2),
  ]);
  return `rules of one kind, packets spread over them; nanoseconds of a packet, and how often those of one rule\n\n${alignColumns([['', 'rules', 'ns', 'ratio'], ...lines])}\n`;
}
