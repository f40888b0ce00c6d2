import type { Program, ProgramObject } from '../../ebpf/program.js';
import { PacketError } from '../../errors.js';
import { readPrograms } from '../../host/read-programs.js';
import { checkChoice } from '../../options.js';
import type { CommandLine } from '../options.js';
import { readVariables } from './variables.js';

/** The program that was named. */
export interface NamedProgram {
  readonly program: Program;
  /** What its file has, of programs only those that it needs. */
  readonly object: ProgramObject;
}

/** The one positional argument of a command. @throws PacketError INVALID_OPTION */
export function fileArgument(line: CommandLine, command: string): string {
  const [file, ...more] = line.positionals;
  if (file === undefined) {
    throw new PacketError('INVALID_OPTION', `${command}: no program file is named`, {
      remedy: `${command} FILE; ${command} --help tells more`,
    });
  }
  if (more.length > 0) {
    throw new PacketError('INVALID_OPTION', `one file at a time: "${more[0]}" is too many`, {
      remedy: 'options begin with --',
    });
  }
  return file;
}

/** Reads the file and finds the program that `--program` names; without it there must be one only. `--set` gives variables values. @throws PacketError */
export async function readNamedProgram(line: CommandLine, file: string): Promise<NamedProgram> {
  const object = await readPrograms(file, { variables: readVariables(line) });
  const name = line.text('program');
  const names = object.programs.map((program) => program.name);
  const remedy = 'XDP programs are in sections named xdp: SEC("xdp") in C, .section xdp in assembler';
  const others = 'otherPrograms' in object ? object.otherPrograms : [];
  const other = others.find((each) => (name === undefined ? names.length === 0 : each.name === name));
  if (other !== undefined) {
    const why = `the program ${other.name} is in section ${other.section}, which is not for XDP`;
    throw new PacketError('PROGRAM_UNSUPPORTED', `${file}: ${why}`, { remedy });
  }
  if (names.length === 0) throw new PacketError('PROGRAM_CORRUPT', `${file} has no XDP programs`, { remedy });
  if (name !== undefined) checkChoice('--program', name, names);
  else if (names.length > 1) {
    throw new PacketError('INVALID_OPTION', `${file} has the programs ${names.join(', ')}`, {
      remedy: `choose one: --program ${names[0]}`,
    });
  }
  const program = object.programs[name === undefined ? 0 : names.indexOf(name)]!;
  return { object: { ...object, programs: [...programsNeeded(object, program)] }, program };
}

/** A program and those that it may go on with, because entries of its maps name them. */
function programsNeeded({ programs }: ProgramObject, program: Program): Set<Program> {
  const needed = new Set([program]);
  for (const { maps } of needed) {
    const names = maps.flatMap(({ initialEntries = [] }) => initialEntries.map(({ name }) => name));
    for (const other of programs) if (names.includes(other.name)) needed.add(other);
  }
  return needed;
}
