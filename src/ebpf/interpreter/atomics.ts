import { BPF_ADD, BPF_AND, BPF_CMPXCHG, BPF_DW, BPF_FETCH, BPF_OR, BPF_SIZE_MASK, BPF_XCHG } from '../opcodes.js';
import { add } from './pairs.js';

/** What is in memory, and becomes what is to be there: two words. */
const value = new Int32Array(2);

/**
 * Does an atomic operation on memory that was checked, at a multiple of its size. A machine belongs to one thread, so that nothing can come
 * between its reading and its writing (RFC 9669, section 5.3).
 *
 * @param words all of the arena's
 * @param memory index of the first word in memory
 * @param operation the instruction's immediate
 * @param source index of the source register's pair
 * @param zero index of register 0's pair, for BPF_CMPXCHG
 */
export function atomic(
  words: Int32Array,
  memory: number,
  opcode: number,
  operation: number,
  source: number,
  zero: number,
): void {
  const wide = (opcode & BPF_SIZE_MASK) === BPF_DW;
  const oldLow = words[memory]!;
  const oldHigh = wide ? words[memory + 1]! : 0;
  const low = words[source]!;
  const high = words[source + 1]!;
  value[0] = oldLow;
  value[1] = oldHigh;
  if (operation === BPF_CMPXCHG) {
    const equal = oldLow === words[zero] && (!wide || oldHigh === words[zero + 1]);
    if (equal) setValue(low, high);
  } else if (operation === BPF_XCHG) setValue(low, high);
  else change(operation & ~BPF_FETCH, low, high);
  words[memory] = value[0]!;
  if (wide) words[memory + 1] = value[1]!;
  if ((operation & BPF_FETCH) === 0) return;
  const result = operation === BPF_CMPXCHG ? zero : source;
  words[result] = oldLow;
  words[result + 1] = oldHigh;
}

function setValue(low: number, high: number): void {
  value[0] = low;
  value[1] = high;
}

function change(operation: number, low: number, high: number): void {
  if (operation === BPF_ADD) add(value, 0, low, high);
  else if (operation === BPF_OR) setValue(value[0]! | low, value[1]! | high);
  else if (operation === BPF_AND) setValue(value[0]! & low, value[1]! & high);
  else setValue(value[0]! ^ low, value[1]! ^ high);
}
