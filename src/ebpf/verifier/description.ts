import { type Program, sourceLineAt } from '../program.js';
import { writeInstruction } from '../text/write-instruction.js';
import { type Bounds, isConstant, isUnknown, UNKNOWN } from './bounds.js';
import type { Frame } from './state.js';
import { NumberValue, type Value } from './value.js';

/** The registers that hold something, as `r1=context r2=number 0..255`. */
export function describeRegisters({ registers }: Frame): string {
  return registers
    .flatMap((value, register) => (value === undefined ? [] : [`r${register}=${describeValue(value)}`]))
    .join(' ');
}

/** A value in a few words. */
export function describeValue(value: Value): string {
  if (value instanceof NumberValue) return describeNumber(value.bounds);
  const { kind, offset, variable, orNull, bytes, map, place } = value;
  const name = map === undefined ? kind : `${kind} of ${map.name}`;
  const frame = kind === 'stack' && place > 0 ? ` of frame ${place}` : '';
  const fixed = offset === 0 ? '' : offset > 0 ? `+${offset}` : `${offset}`;
  const added = isConstant(variable) && variable.least === 0n ? '' : `+(${describeNumber(variable)})`;
  const range = kind === 'packet' || kind === 'packet metadata' ? ` (${bytes} bytes checked)` : '';
  return `${name}${frame}${fixed}${added}${range}${orNull ? ' or null' : ''}`;
}

function describeNumber(bounds: Bounds): string {
  if (isConstant(bounds)) return `${bounds.signedLeast}`;
  if (isUnknown(bounds)) return 'number';
  const { least, most, signedLeast, signedMost, least32, most32 } = bounds;
  if (least > 0n || most < UNKNOWN.most) return `number ${least}..${most}`;
  if (signedLeast > UNKNOWN.signedLeast || signedMost < UNKNOWN.signedMost) {
    return `number ${signedLeast}..${signedMost}`;
  }
  if (least32 > 0 || most32 < UNKNOWN.most32) return `number, lower half ${least32}..${most32}`;
  return `number, bits ${bounds.bits.value.toString(16)} of ${(~bounds.bits.mask & UNKNOWN.most).toString(16)} known`;
}

/** An instruction, in the kernel's notation, and where it is: `slot 3 (r0 = *(u8 *)(r6 +0)) of first.c:5 "return *data;"`. */
export function describePlace(program: Program, slot: number): string {
  const line = sourceLineAt(program, slot);
  const text = line === undefined || line.text === '' ? '' : ` "${line.text.trim()}"`;
  const source = line === undefined ? '' : ` of ${line.file}:${line.line}${text}`;
  return `slot ${slot} (${writeSlot(program, slot)})${source}`;
}

function writeSlot({ instructions, subprograms, maps, kernelFunctions }: Program, slot: number): string {
  const text = writeInstruction(instructions[slot]!, instructions[slot + 1], {
    subprogram: (distance) => subprograms.find(({ start }) => start === slot + 1 + distance)?.name,
    map: (index) => maps[index]?.name,
    kernelFunction: (index) => kernelFunctions[index],
  });
  return text ?? `operation code 0x${instructions[slot]!.opcode.toString(16).padStart(2, '0')}`;
}
