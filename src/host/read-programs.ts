import type { ProgramObject } from '../ebpf/program.js';
import { assemble } from '../ebpf/text/assemble.js';
import { PacketError } from '../errors.js';
import { readWholeFile } from './read-whole-file.js';

/** Text that is no UTF-8 is read nonetheless: the assembler says what cannot stand where. */
const DECODER = new TextDecoder();

const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];

/**
 * Reads XDP programs from a file of eBPF assembler.
 *
 * @throws PacketError SYSTEM_CALL when it cannot be read, PROGRAM_CORRUPT with the place of what is wrong in it
 */
export async function readPrograms(file: string): Promise<ProgramObject> {
  const bytes = await readWholeFile(file, 'program file');
  if (ELF_MAGIC.every((byte, at) => bytes[at] === byte)) {
    throw new PacketError('PROGRAM_CORRUPT', `${file} is an object file (ELF), no assembler text`, {
      remedy: 'give it as text: what llvm-objdump -d --no-show-raw-insn prints, with .map and .function lines',
    });
  }
  return assemble(DECODER.decode(bytes), { file });
}
