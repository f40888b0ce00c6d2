import { checkInteger } from '../../errors.js';
import { checkOptionNames } from '../../options.js';
import type { Program } from '../program.js';
import { checkStructure } from '../structure.js';
import { MOST_FOLLOWED, type Verification, type VerifyOptions } from './contract.js';
import { followControl } from './control-flow.js';
import { CONTEXT, Exploration } from './exploration.js';
import { checkStackDepth } from './stack-depth.js';
import { createFrame } from './state.js';
import { Walk } from './walk.js';

/**
 * Finds out whether a program may run: follows all ways through it with what is known of its registers and its stack, as Linux does, and
 * refuses it where it may read or write what is not its own, uses what it has not set, calls helpers with what they do not take, or does not
 * end. Loops are followed round by round. Nothing runs.
 *
 * @throws PacketError PROGRAM_REFUSED with the instruction, its line of source where that is known, and what the registers hold there;
 *   INVALID_OPTION
 */
export function verify(program: Program, options: VerifyOptions): Verification {
  checkOptionNames('verify', options, ['helpers', 'limit', 'unwrittenStack', 'log']);
  checkInteger('verify limit', options.limit ?? MOST_FOLLOWED, 1, MOST_FOLLOWED);
  checkStructure(program, options.helpers);
  const frame = createFrame({ subprogram: 0, callSite: -1, isCallback: false, reserved: 0 }, 0);
  frame.registers[1] = CONTEXT;
  const walk = new Walk(program, options, { frames: [frame], reserved: [] });
  const flow = followControl(program, options.helpers);
  if (flow.unreachable >= 0) {
    walk.slot = flow.unreachable;
    walk.refuse('no way leads to this instruction');
  }
  checkStackDepth(program, options.helpers, walk.stackBytes);
  const exploration = new Exploration(walk, flow);
  exploration.run();
  return {
    followed: walk.time,
    states: exploration.states,
    stackBytes: program.subprograms.map(({ start }) => walk.stackBytes.get(start) ?? 0),
    deepestStackBytes: checkStackDepth(program, options.helpers, walk.stackBytes),
    accesses: walk.accesses,
    calledMaps: new Map([...walk.calledMaps].filter(([, index]) => index >= 0)),
    reached: exploration.reached,
  };
}
