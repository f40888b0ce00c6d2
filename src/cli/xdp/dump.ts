import { disassembleProgram } from '../../ebpf/text/disassemble.js';
import { readPrograms } from '../../host/read-programs.js';
import { checkChoice } from '../../options.js';
import { CommandLine, type OptionTable } from '../options.js';
import { fileArgument } from './program-file.js';

const COMMAND = 'tp4 xdp dump';

const HELP = `tp4 xdp dump FILE [options]    programs as text, in the kernel's own notation

Each program is written whole, with its maps and all functions that it calls, so that the text of one can be assembled again.

  --program NAME    only this one
  --slots           each instruction with its slot and operation code in front, and jumps as distances: 3: (b7) r0 = 1
`;

const OPTIONS: OptionTable = { program: { type: 'string' }, slots: { type: 'boolean' } };

/** `tp4 xdp dump`. Returns the exit code. @throws PacketError INVALID_OPTION, SYSTEM_CALL, PROGRAM_CORRUPT */
export async function xdpDump(args: readonly string[]): Promise<number> {
  const line = new CommandLine(COMMAND, args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const { programs } = await readPrograms(fileArgument(line, COMMAND));
  const name = line.text('program');
  if (name !== undefined) {
    checkChoice(
      '--program',
      name,
      programs.map((program) => program.name),
    );
  }
  const chosen = programs.filter((program) => name === undefined || program.name === name);
  const texts = chosen.map((program) => disassembleProgram(program, { slots: line.has('slots') }));
  process.stdout.write(texts.join('\n'));
  return 0;
}
