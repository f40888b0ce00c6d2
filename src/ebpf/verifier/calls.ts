import { MOST_CALL_FRAMES } from '../execution.js';
import type { Helper } from '../helpers/contract.js';
import type { Instruction } from '../instruction.js';
import type { MapDefinition } from '../maps/contract.js';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL } from '../opcodes.js';
import { UNKNOWN, unsignedBounds } from './bounds.js';
import { type CallFacts, checkArguments } from './helper-arguments.js';
import { copyState, createFrame, replaceValues, type State } from './state.js';
import { createPointer, Identity, NumberValue, type Value } from './value.js';
import type { Walk } from './walk.js';

/** What `followCall` and `followExit` return where the way ends. */
export const ENDED = -1;

/** Helpers that change a map which programs may only read. */
const CHANGES = new Set(['map_update_elem', 'map_delete_elem', 'map_push_elem', 'map_pop_elem']);
const GPL_LICENSES = ['GPL', 'GPL v2', 'GPL and additional rights', 'Dual BSD/GPL', 'Dual MIT/GPL', 'Dual MPL/GPL'];

/** Follows BPF_CALL. Returns the slot to go on at. */
export function followCall(walk: Walk, instruction: Instruction): number {
  if (instruction.source === BPF_PSEUDO_CALL) {
    enter(walk, walk.state, walk.slot + 1 + instruction.immediate, false);
    return walk.slot + 1 + instruction.immediate;
  }
  const helper = calledHelper(walk, instruction);
  if (helper.gplOnly === true && !GPL_LICENSES.includes(walk.program.license)) {
    walk.refuse(
      `${helper.name} is for programs under a licence that is compatible with the GPL, not "${walk.program.license}"`,
    );
  }
  const facts = checkArguments(walk, helper);
  checkMap(walk, helper, facts.map);
  if (helper.call === undefined && facts.map?.type === 'prog_array') callTail(walk);
  if (facts.callback !== undefined) callBack(walk, helper, facts);
  if (helper.movesPacket === true || isTailCall(helper)) forgetPacket(walk.state);
  if (facts.released !== undefined) release(walk, facts.released);
  finishCall(walk, helper, facts);
  return walk.slot + 1;
}

/** Follows BPF_EXIT. Returns the slot to go on at, or ENDED. */
export function followExit(walk: Walk): number {
  const { frames, reserved } = walk.state;
  const { isCallback, callSite, reserved: before, registers } = walk.frame;
  if (frames.length === 1) {
    walk.read(0);
    if (reserved.length > 0) walk.refuse(`the program ends with memory that it reserved at slot ${reserved[0]!.slot}`);
    return ENDED;
  }
  const result = isCallback ? walk.read(0) : registers[0];
  if (result !== undefined && !(result instanceof NumberValue) && result.kind === 'stack') {
    walk.refuse('a subprogram returns a pointer to a stack');
  }
  if (isCallback) {
    if (!(result instanceof NumberValue)) return walk.refuse('a callback must return 0 or 1');
    result.demand();
    if (result.bounds.most > 1n) walk.refuse('a callback must return 0 or 1');
    if (reserved.length !== before) walk.refuse('a callback must give back what it reserves, and nothing else');
    frames.pop();
    return callSite;
  }
  frames.pop();
  walk.write(0, result);
  return callSite + 1;
}

/** The helper or kernel function that an instruction calls. */
export function calledHelper({ program, options }: Walk, { source, immediate }: Instruction): Helper {
  if (source === BPF_PSEUDO_KFUNC_CALL) return options.helpers.byName(program.kernelFunctions[immediate]!)!;
  return options.helpers.byNumber(immediate)!;
}

function isTailCall({ name, call }: Helper): boolean {
  return call === undefined && name === 'tail_call';
}

/** Puts a frame for a subprogram on top of a state. Registers 1 to 5 are the caller's. */
function enter(walk: Walk, state: State, slot: number, isCallback: boolean): void {
  const { frames, reserved } = state;
  if (frames.length === MOST_CALL_FRAMES) walk.refuse(`calls are more than ${MOST_CALL_FRAMES} frames deep`);
  const caller = frames.at(-1)!;
  const frame = createFrame(
    { subprogram: slot, callSite: walk.slot, isCallback, reserved: reserved.length },
    frames.length,
  );
  if (!isCallback) {
    for (let register = 1; register <= 5; register++) frame.registers[register] = caller.registers[register];
    for (let register = 0; register <= 5; register++) caller.registers[register] = undefined;
  }
  frames.push(frame);
}

function checkMap(walk: Walk, helper: Helper, map: MapDefinition | undefined): void {
  if (map === undefined) return;
  walk.noteMap(walk.program.maps.indexOf(map));
  const isReadOnly = map.frozen === true || (map.flags & 0x80) !== 0;
  if (isReadOnly && CHANGES.has(helper.name)) walk.refuse(`programs may only read map ${map.name}`);
}

/** A tail call that comes about ends the program, or returns to the caller of the subprogram with the other program's result. */
function callTail(walk: Walk): void {
  const { frames, reserved } = walk.state;
  if (reserved.length > 0) {
    walk.refuse(`a tail call leaves memory behind that was reserved at slot ${reserved[0]!.slot}`);
  }
  if (frames.some(({ isCallback }) => isCallback)) walk.refuse('a callback cannot make tail calls');
  if (frames.length === 1) return;
  const state = copyState(walk.state);
  const { callSite } = state.frames.pop()!;
  forgetPacket(state);
  state.frames.at(-1)!.registers[0] = NumberValue.unknown();
  walk.forks.push({ state, slot: callSite + 1 });
}

/** The helper may call its callback any number of times: each time ends at the call again. */
function callBack(walk: Walk, helper: Helper, facts: CallFacts): void {
  const state = copyState(walk.state);
  const caller = state.frames.at(-1)!;
  enter(walk, state, facts.callback!, true);
  const { registers } = state.frames.at(-1)!;
  if (helper.name === 'loop') {
    registers[1] = new NumberValue(unsignedBounds(0n, (1n << 32n) - 1n));
    registers[2] = caller.registers[3];
  } else if (helper.name === 'for_each_map_elem') {
    const { map } = facts;
    registers[1] = createPointer('map', { map });
    registers[2] = createPointer('map key', { map });
    registers[3] = createPointer('map value', { map });
    registers[4] = caller.registers[3];
  } else walk.refuse(`callbacks of ${helper.name} are not known to the verifier`);
  walk.forks.push({ state, slot: facts.callback! });
}

/** Where the packet has moved, nothing is known of pointers into it. */
function forgetPacket(state: State): void {
  const change = (value: Value) => {
    const isNumber = value instanceof NumberValue;
    return !isNumber && value.kind.startsWith('packet') ? NumberValue.unknown() : value;
  };
  replaceValues(state, change);
}

function release(walk: Walk, identity: Identity): void {
  const { state } = walk;
  if (!state.reserved.includes(identity)) walk.refuse('memory is given back that was not reserved');
  if (state.reserved.indexOf(identity) < walk.frame.reserved) {
    walk.refuse('a callback gives back what it did not reserve');
  }
  state.reserved = state.reserved.filter((other) => other !== identity);
  replaceValues(state, (value) => {
    const isGone = !(value instanceof NumberValue) && value.kind === 'reserved memory' && value.identity === identity;
    return isGone ? NumberValue.unknown() : value;
  });
}

function finishCall(walk: Walk, helper: Helper, { map, index, allocatedBytes }: CallFacts): void {
  for (let register = 0; register <= 5; register++) walk.write(register, undefined);
  switch (helper.returns) {
    case 'number':
      walk.writeNumber(0, UNKNOWN);
      return;
    case 'nothing':
      return;
    case 'map-value-or-null': {
      if (map === undefined) walk.refuse(`${helper.name} returns values of a map that it does not take`);
      const identity = new Identity(walk.slot);
      const isMaps = map.type === 'array_of_maps' || map.type === 'hash_of_maps';
      if (isMaps && map.inner === undefined) walk.refuse(`nothing is known of the maps in map ${map.name}`);
      const parts = { map: isMaps ? map.inner : map, identity, orNull: index === undefined };
      walk.write(0, createPointer(isMaps ? 'map' : 'map value', parts));
      return;
    }
    case 'reserved-memory-or-null': {
      const identity = new Identity(walk.slot);
      walk.state.reserved = [...walk.state.reserved, identity];
      walk.write(0, createPointer('reserved memory', { identity, bytes: allocatedBytes, orNull: true }));
      return;
    }
  }
}
