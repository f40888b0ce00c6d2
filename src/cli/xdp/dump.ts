import { disassembleObject } from '../../ebpf/text/program-text.js';
import { readPrograms } from '../../host/read-programs.js';
import { checkChoice } from '../../options.js';
import { CommandLine, type OptionTable } from '../options.js';
import { fileArgument } from './program-file.js';

const COMMAND = 'tp4 xdp dump';

const HELP = `tp4 xdp dump FILE [options]    programs as text, in the kernel's own notation

Programs are written with their maps and all functions that they call, so that the text can be assembled again.

  --program NAME    only this one, with what it uses
  --slots           each instruction with its slot and operation code in front, and jumps as distances: 3: (b7) r0 = 1
  --source          lines of source as comments, where they are known
`;

const OPTIONS: OptionTable = { program: { type: 'string' }, slots: { type: 'boolean' }, source: { type: 'boolean' } };

/** `tp4 xdp dump`. Returns the exit code. @throws PacketError INVALID_OPTION, SYSTEM_CALL, PROGRAM_CORRUPT */
export async function xdpDump(args: readonly string[]): Promise<number> {
  const line = new CommandLine(COMMAND, args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const object = await readPrograms(fileArgument(line, COMMAND));
  const name = line.text('program');
  const names = object.programs.map((program) => program.name);
  if (name !== undefined) checkChoice('--program', name, names);
  const programs = object.programs.filter((program) => name === undefined || program.name === name);
  const maps = name === undefined ? object.maps : [];
  process.stdout.write(disassembleObject({ programs, maps }, { slots: line.has('slots'), source: line.has('source') }));
  return 0;
}
