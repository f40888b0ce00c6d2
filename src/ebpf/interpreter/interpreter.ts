import { makeCode } from '../code.js';
import type { Engine } from '../execution.js';
import { InterpretedProgram } from './interpreted-program.js';

/** The reference: runs programs instruction by instruction, everywhere, also where code must not be generated. */
export const interpreter: Engine = {
  name: 'interpreter',
  prepare(bound, machine) {
    return new InterpretedProgram(bound, machine, makeCode(bound, machine));
  },
};
