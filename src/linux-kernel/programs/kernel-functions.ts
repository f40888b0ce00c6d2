import { readFileSync } from 'node:fs';
import { btfParts, kindOf, typePlaces } from '../../ebpf/object/btf/btf-layout.js';
import { BTF_KIND_FUNC } from '../../ebpf/object/btf/constants.js';
import { StringTable } from '../../ebpf/object/string-table.js';
import { PacketError } from '../../errors.js';
import { type Known, known, unknown } from '../../kernel/answer.js';

const VMLINUX = '/sys/kernel/btf/vmlinux';
/** They stay as long as the kernel runs. */
let numbers: Known<ReadonlyMap<string, number>> | undefined;

/** Number of the type of a kernel function, by which programs call it (kfunc). */
export function kernelFunctionNumber(name: string): Known<number> {
  numbers ??= readFunctionNumbers();
  if (!numbers.known) return numbers;
  const number = numbers.value.get(name);
  return number === undefined ? unknown('this kernel has no such function') : known(number);
}

function readFunctionNumbers(): Known<ReadonlyMap<string, number>> {
  try {
    return known(functionNumbers(readFileSync(VMLINUX)));
  } catch (error) {
    const why = error instanceof PacketError ? error.message : (error as Error).message;
    return unknown(`this kernel does not tell its types (CONFIG_DEBUG_INFO_BTF): ${why}`);
  }
}

/** The functions alone: a kernel has more than 100,000 types, and to read them all takes a second. */
function functionNumbers(bytes: Uint8Array): Map<string, number> {
  const { types, strings } = btfParts(bytes);
  const names = new StringTable(strings);
  const numbers = new Map<string, number>();
  for (const [number, at] of typePlaces(types).entries()) {
    if (number > 0 && kindOf(types.u32(at + 4)) === BTF_KIND_FUNC) numbers.set(names.at(types.u32(at)), number);
  }
  return numbers;
}
