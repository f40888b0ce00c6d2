import { CONTROL_PACKET, CONTROL_REGISTERS } from '../execution.js';
import type { Machine } from '../machine.js';

/** Index of a register's pair among the arena's words: the lower half there, the upper one next to it. */
export function registerAt({ control }: Machine, register: number): number {
  return (control >> 2) + CONTROL_REGISTERS + register * 2;
}

/** The lower half of an argument, signed. @param register 1 to 5 */
export function argument(machine: Machine, register: number): number {
  return machine.arena.i32[registerAt(machine, register)]!;
}

/** An argument as a length, a key or flags: its lower half unsigned, or -1 where the upper one is in use. */
export function smallArgument(machine: Machine, register: number): number {
  const at = registerAt(machine, register);
  return machine.arena.i32[at + 1] === 0 ? machine.arena.i32[at]! >>> 0 : -1;
}

/** An argument as a pointer to so many bytes: their arena offset, or -1 where the program may not touch them all. */
export function pointerArgument(machine: Machine, register: number, bytes: number): number {
  const at = registerAt(machine, register);
  const address = machine.arena.i32[at]!;
  return machine.reaches(address, machine.arena.i32[at + 1]!, bytes) ? address : -1;
}

/** Returns a signed number of 32 bits: a result, minus errno, or an arena offset. */
export function giveBack(machine: Machine, result: number): void {
  const at = registerAt(machine, 0);
  machine.arena.i32[at] = result;
  machine.arena.i32[at + 1] = result >> 31;
}

/** Returns a number of up to 2^53. */
export function giveBackUnsigned(machine: Machine, result: number): void {
  const at = registerAt(machine, 0);
  machine.arena.i32[at] = result;
  machine.arena.i32[at + 1] = Math.floor(result / 2 ** 32);
}

/** Index of the first word of the current packet's record. */
export function currentRecord({ arena, control }: Machine): number {
  return arena.i32[(control >> 2) + CONTROL_PACKET]! >> 2;
}
