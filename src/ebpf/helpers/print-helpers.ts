import { EFAULT, EINVAL } from '../errno.js';
import type { Machine } from '../machine.js';
import type { Helper } from './contract.js';
import { formatText } from './print-format.js';
import { giveBack, pointerArgument, registerAt, smallArgument } from './registers.js';

/** Most bytes of a format with its final zero; Linux's limit is that of memory that programs have. */
const LONGEST_FORMAT = 4096;
/** Most values that trace_vprintk and snprintf take (MAX_BPRINTF_VARARGS). */
const MOST_VALUES = 12;

/**
 * Helpers that print. They are for finding out what a program does: they allocate, and are slow.
 *
 * @param trace gets each line
 */
export function printHelpers(trace: (line: string) => void): Helper[] {
  const print = (text: string | number): number => {
    if (typeof text === 'number') return text;
    trace(text.replace(/\n$/, ''));
    return text.length;
  };
  return [
    {
      name: 'trace_printk',
      number: 6,
      arguments: ['memory', 'size', 'anything', 'anything', 'anything'],
      returns: 'number',
      gplOnly: true,
      call(machine) {
        const format = formatArgument(machine, 1);
        const values = [3, 4, 5].map((register) => registerAt(machine, register));
        giveBack(machine, print(typeof format === 'number' ? format : formatText(machine, format, values)));
      },
    },
    {
      name: 'trace_vprintk',
      number: 177,
      arguments: ['memory', 'size', 'memory-or-null', 'size-or-zero'],
      returns: 'number',
      gplOnly: true,
      call(machine) {
        const format = formatArgument(machine, 1);
        giveBack(machine, print(typeof format === 'number' ? format : formatValues(machine, format, 3)));
      },
    },
    {
      name: 'snprintf',
      number: 165,
      arguments: ['memory-out', 'size-or-zero', 'constant-string', 'memory-or-null', 'size-or-zero'],
      returns: 'number',
      gplOnly: true,
      call(machine) {
        giveBack(machine, printToMemory(machine));
      },
    },
  ];
}

/** The text that a format and its length in two registers say, or a negative errno. */
function formatArgument(machine: Machine, register: number): string | number {
  const bytes = smallArgument(machine, register + 1);
  const format = bytes < 0 ? -1 : pointerArgument(machine, register, bytes);
  if (format < 0) return -EFAULT;
  return textAt(machine, format, Math.min(bytes, LONGEST_FORMAT)) ?? -EINVAL;
}

/** Formats with values in memory, 8 bytes each, where two registers say. */
function formatValues(machine: Machine, format: string, register: number): string | number {
  const bytes = smallArgument(machine, register + 1);
  if (bytes < 0 || bytes % 8 !== 0 || bytes > MOST_VALUES * 8) return -EINVAL;
  const first = bytes === 0 ? 0 : pointerArgument(machine, register, bytes);
  if (first < 0) return -EFAULT;
  // Values are looked at as words of the arena: they are copied to where words are.
  const { scratch, arena } = machine;
  arena.u8.copyWithin(scratch, first, first + bytes);
  return formatText(
    machine,
    format,
    Array.from({ length: bytes / 8 }, (_, index) => (scratch >> 2) + index * 2),
  );
}

/** snprintf: as much of the text as there is room for, with its final zero. Returns the bytes of all of it. */
function printToMemory(machine: Machine): number {
  const room = smallArgument(machine, 2);
  const to = room < 0 ? -1 : room === 0 ? 0 : pointerArgument(machine, 1, room);
  const format = constantText(machine, 3);
  if (to < 0 || format === undefined) return -EFAULT;
  const text = formatValues(machine, format, 4);
  if (typeof text === 'number') return text;
  const shown = Math.min(text.length, room - 1);
  for (let i = 0; i < shown; i++) machine.arena.u8[to + i] = text.charCodeAt(i);
  if (room > 0) machine.arena.u8[to + shown] = 0;
  return text.length + 1;
}

/** The text at the pointer in a register, up to its final zero; undefined where the program may not touch that. */
function constantText(machine: Machine, register: number): string | undefined {
  const first = pointerArgument(machine, register, 1);
  const text = first < 0 ? undefined : textAt(machine, first, LONGEST_FORMAT);
  return text !== undefined && pointerArgument(machine, register, text.length + 1) >= 0 ? text : undefined;
}

/** The text up to a final zero, which must be among so many bytes; otherwise undefined. */
function textAt({ arena }: Machine, first: number, bytes: number): string | undefined {
  const length = arena.u8.subarray(first, first + bytes).indexOf(0);
  return length < 0 ? undefined : String.fromCharCode(...arena.u8.subarray(first, first + length));
}
