import {
  CONTROL_BUDGET,
  CONTROL_PACKET,
  CONTROL_REGISTERS,
  CONTROL_TAIL_CALLS,
  type Executable,
  FAULT_BUDGET,
  FAULT_NONE,
  MOST_TAIL_CALLS,
  PACKET_FAULT,
  PACKET_FAULT_SLOT,
} from './execution.js';
import type { Machine } from './machine.js';
import { ProgramArrayMap } from './maps/program-array-map.js';

/** What has become of a tail call: it led nowhere, and the program goes on. */
export const NOT_CALLED = 0;
/** The other program has come to its end, and its result is in register 0. */
export const CALL_ENDED = 1;
/** The run has stopped, in the other program or because the budget is too small for it. */
export const CALL_STOPPED = 2;

/**
 * Does bpf_tail_call, for both engines: map and index are in registers 2 and 3 of the control block, the caller's frame in register 10.
 * Nothing is called where the map has no such program, or too many have been called.
 *
 * @param slot of the call
 */
export function tailCall(machine: Machine, slot: number): number {
  const words = machine.arena.i32;
  const control = machine.control >> 2;
  const program = calledProgram(machine);
  if (program === undefined || words[control + CONTROL_TAIL_CALLS]! >= MOST_TAIL_CALLS) return NOT_CALLED;
  words[control + CONTROL_TAIL_CALLS] = words[control + CONTROL_TAIL_CALLS]! + 1;
  const packet = words[control + CONTROL_PACKET]! >> 2;
  const left = words[control + CONTROL_BUDGET]! - program.bound.program.instructions.length;
  if (left < 0) {
    words[packet + PACKET_FAULT] = FAULT_BUDGET;
    words[packet + PACKET_FAULT_SLOT] = slot;
    return CALL_STOPPED;
  }
  words[control + CONTROL_BUDGET] = left;
  words[control + CONTROL_REGISTERS + 2] = machine.context;
  words[control + CONTROL_REGISTERS + 3] = 0;
  program.enter();
  return words[packet + PACKET_FAULT] === FAULT_NONE ? CALL_ENDED : CALL_STOPPED;
}

function calledProgram(machine: Machine): Executable | undefined {
  const words = machine.arena.i32;
  const two = (machine.control >> 2) + CONTROL_REGISTERS + 4;
  const map = words[two + 1] === 0 ? machine.map(words[two]!) : undefined;
  // Linux looks at the lower half of the index only.
  return map instanceof ProgramArrayMap ? map.programAt(words[two + 2]! >>> 0) : undefined;
}
