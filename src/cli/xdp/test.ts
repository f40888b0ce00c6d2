import { PacketError } from '../../errors.js';
import { checkChoice } from '../../options.js';
import { CommandLine, type OptionTable } from '../options.js';
import { renderPackets, reportPacket } from './packet-report.js';
import type { PacketRunner } from './packet-runner.js';
import { type NumberedPacket, readPackets } from './packets.js';
import { fileArgument, readNamedProgram } from './program-file.js';
import { TraceReporter } from './trace-text.js';
import { openRunner, readTrialOptions, TRIAL_HELP, TRIAL_OPTIONS } from './trial-options.js';
import { VERDICTS } from './verdicts.js';

const COMMAND = 'tp4 xdp test';

const HELP = `tp4 xdp test FILE --capture CAPTURE --expect LIST [options]    check the verdicts of a program

Says nothing but how many packets were checked while all is as expected; otherwise shows the first packet that is not, with each
instruction that was executed (soft).

  --expect LIST     verdicts of the packets in their order, of ${Object.keys(VERDICTS).join(', ')}, such as drop,pass*3,tx;
                    the last one also stands for all packets that follow
${TRIAL_HELP}

Exit code: 0 when all verdicts are those expected, 1 when one is not, 2 when the command line is wrong.
`;

const OPTIONS: OptionTable = { ...TRIAL_OPTIONS, expect: { type: 'string' } };

/** `tp4 xdp test`. Returns the exit code. @throws PacketError as `tp4 xdp run` */
export async function xdpTest(args: readonly string[]): Promise<number> {
  const line = new CommandLine(COMMAND, args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const expected = readExpected(line.text('expect'));
  const options = readTrialOptions(line);
  const named = await readNamedProgram(line, fileArgument(line, COMMAND));
  const packets = await readPackets(line, COMMAND);
  const runner = await openRunner(options, named, packets);
  try {
    const mismatch = findMismatch(runner, packets, expected);
    process.stdout.write(`${mismatch?.join('\n') ?? `${packets.length} checked: all verdicts as expected`}\n`);
    return mismatch === undefined ? 0 : 1;
  } finally {
    await runner.close();
  }
}

/** The first packet whose verdict is another one, as lines of text. */
function findMismatch(
  runner: PacketRunner,
  packets: readonly NumberedPacket[],
  expected: readonly string[],
): string[] | undefined {
  for (const [index, packet] of packets.entries()) {
    const outcome = runner.run(packet.bytes, true);
    const word = expected[Math.min(index, expected.length - 1)]!;
    if (outcome.verdict === VERDICTS[word]) continue;
    const report = reportPacket(packet, outcome, runner.landmarks && new TraceReporter(runner.landmarks));
    return [`packet ${report.number}: expected ${word}, got ${report.verdict}`, '', ...renderPackets([report])];
  }
  return undefined;
}

/** `drop,pass*3` as words, one for each packet. */
function readExpected(text: string | undefined): string[] {
  if (text === undefined) {
    throw new PacketError('INVALID_OPTION', `${COMMAND}: nothing is expected`, {
      remedy: '--expect drop,pass*3 says what; tp4 xdp run shows the verdicts',
    });
  }
  return text.split(',').flatMap((part) => {
    const [, word = part, times] = /^(\w*)\*(\d{1,6})$/.exec(part) ?? [];
    checkChoice('--expect', word, Object.keys(VERDICTS));
    if (times === '0')
      throw new PacketError('INVALID_OPTION', `--expect: ${part} is no packet`, { remedy: `leave ${part} out` });
    return new Array<string>(Number(times ?? 1)).fill(word);
  });
}
