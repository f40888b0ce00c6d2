import { basename } from 'node:path';
import type { ObjectFile, ReadObjectOptions } from '../ebpf/object/contract.js';
import { readObject } from '../ebpf/object/read-object.js';
import type { ProgramObject } from '../ebpf/program.js';
import { assemble } from '../ebpf/text/assemble.js';
import { PacketError } from '../errors.js';
import { checkOptionNames } from '../options.js';
import { readWholeFile } from './read-whole-file.js';

/** Text that is no UTF-8 is read nonetheless: the assembler says what cannot stand where. */
const DECODER = new TextDecoder();

const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];

/** How programs are read from a file. */
export type ReadProgramsOptions = Pick<ReadObjectOptions, 'variables'>;

/**
 * Reads XDP programs from a file: an object as clang makes it, or else eBPF assembler.
 *
 * @throws PacketError SYSTEM_CALL when it cannot be read; PROGRAM_CORRUPT with the place of what is wrong in it; PROGRAM_UNSUPPORTED;
 *   INVALID_OPTION for variables that it has not
 */
export async function readPrograms(
  file: string,
  options: ReadProgramsOptions = {},
): Promise<ObjectFile | ProgramObject> {
  checkOptionNames('readPrograms', options, ['variables']);
  const { variables = {} } = options;
  const bytes = await readWholeFile(file, 'program file');
  const isObject = ELF_MAGIC.every((byte, at) => bytes[at] === byte);
  // libbpf, too, names maps of global variables after the file, up to the first dot.
  if (isObject) return readObject(bytes, { name: basename(file).split('.')[0] || 'object', variables });
  const [variable] = Object.keys(variables);
  if (variable === undefined) return assemble(DECODER.decode(bytes), { file });
  throw new PacketError('INVALID_OPTION', `variables.${variable}: assembler text has no variables`, {
    remedy: 'say with .value what maps begin with',
  });
}
