import { PacketError } from '../../errors.js';
import { checkOptionNames } from '../../options.js';
import type { Instruction } from '../instruction.js';
import type { Program, ProgramObject } from '../program.js';
import { MOST_SLOTS } from '../structure.js';
import { linkProgram } from './link.js';
import { SourceFileReader } from './source-file.js';

/** How to read assembler text. */
export interface AssemblyOptions {
  /** Name of the file, for messages and lines of source. Default `text`. */
  readonly file?: string;
}

/**
 * Reads a file of eBPF assembler: instructions in the kernel's notation (verifier log, `bpftool prog dump xlated`, `llvm-objdump -d
 * --no-show-raw-insn`), one a line. Comments begin with `;` or `//`. In front of an instruction may stand labels (`name:`), and its slot and
 * operation code as in listings (`3: (b7) r0 = 1`), of which the slot says nothing and the code is checked.
 *
 * | line | meaning |
 * | --- | --- |
 * | `.section xdp` | what follows are programs; also `xdp/devmap`, `xdp/cpumap`, and with `xdp.frags` for packets of several frames |
 * | `.text` | what follows are functions that others call |
 * | `.function NAME` | begins a program or function; labels belong to it. Instructions before any are the XDP program `program` |
 * | `.map NAME TYPE key 4 value 8 entries 256` | a map, by bpftool's name of its type; behind it `flags N`, `frozen`, `pinned`, `inner TEMPLATE` |
 * | `.value 01 00`, `.zeros 100`, `.entry 3 NAME` | first bytes of the value, or entries, that the map above starts with |
 * | `.template NAME TYPE …` | what the maps in a map of maps are like |
 * | `.extern NAME` | a function of the kernel (kfunc) |
 * | `.license "GPL"` | licence of all programs. Without it `Dual MIT/GPL` |
 * | `.slot 95 00 00 00 00 00 00 00` | eight bytes as they are |
 *
 * A call names a function of the file, a label, an `.extern`, or a helper (`bpf_redirect_map#51`, `redirect_map`, `51`), and is looked up
 * in this order. Names in "quotes" are JSON strings. Functions become part of each program that calls them; distances in numbers count
 * slots of the program as put together.
 *
 * @throws PacketError PROGRAM_CORRUPT with file, line and column, what was expected and what was found
 */
export function assemble(text: string, options: AssemblyOptions = {}): ProgramObject {
  checkOptionNames('assembler', options, ['file']);
  const source = new SourceFileReader(options.file ?? 'text').read(text);
  const programs: Program[] = [];
  let slots = 0;
  for (const main of source.functions.values()) {
    if (main.section === undefined) continue;
    const program = linkProgram(source, main, main.section);
    programs.push(program);
    slots += program.instructions.length;
    // A short text can ask for much: each program has its own copy of what it calls.
    if (slots > MOST_SLOTS) {
      throw new PacketError('PROGRAM_CORRUPT', `the programs of ${source.file} have more than ${MOST_SLOTS} slots`, {
        remedy: 'put them into several files',
      });
    }
  }
  return { programs, maps: source.maps };
}

/**
 * Reads a text with instructions alone, as {@link disassemble} writes it: at most one program, and no maps.
 *
 * @throws PacketError PROGRAM_CORRUPT
 */
export function assembleInstructions(text: string): readonly Instruction[] {
  const { programs, maps } = assemble(text);
  if (programs.length > 1 || maps.length > 0) {
    throw new PacketError('PROGRAM_CORRUPT', `the text has ${programs.length} programs and ${maps.length} maps`, {
      remedy: 'read it with assemble, which returns all of them',
    });
  }
  return programs[0]?.instructions ?? [];
}
