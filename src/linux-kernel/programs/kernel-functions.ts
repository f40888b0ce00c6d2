import { readFileSync } from 'node:fs';
import { PacketError } from '../../errors.js';
import { type Known, known, unknown } from '../../kernel/answer.js';
import { BTF_KIND_FUNC, Btf } from './btf.js';

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

/** The functions of a kernel, by name, as its types tell. */
export function readFunctionNumbers(file: string = VMLINUX): Known<ReadonlyMap<string, number>> {
  try {
    const btf = new Btf(readFileSync(file));
    const found = new Map<string, number>();
    for (const type of btf.types()) if (type.kind === BTF_KIND_FUNC) found.set(btf.name(type), type.number);
    return known(found);
  } catch (error) {
    const why = error instanceof PacketError ? error.message : (error as Error).message;
    return unknown(`this kernel does not tell its types (CONFIG_DEBUG_INFO_BTF): ${why}`);
  }
}
