import { PacketError } from '../../errors.js';
import type { Engine } from '../execution.js';
import { checkStructure } from '../structure.js';
import { makeCode } from './code.js';
import { InterpretedProgram } from './interpreted-program.js';

/** The reference: runs programs instruction by instruction, everywhere, also where code must not be generated. */
export const interpreter: Engine = {
  name: 'interpreter',
  prepare(bound, machine) {
    checkStructure(bound.program, machine.helpers);
    const missing = bound.program.maps.findIndex((_, index) => {
      const map = bound.maps[index];
      return map === undefined || machine.map(map.handle) !== map;
    });
    if (missing >= 0) {
      throw new PacketError(
        'PROGRAM_REFUSED',
        `map ${bound.program.maps[missing]!.name} was not made on the machine that the program is to run on`,
        { remedy: 'make all maps with createMap on this machine, in the order of the program' },
      );
    }
    return new InterpretedProgram(bound, machine, makeCode(bound, machine.helpers));
  },
};
