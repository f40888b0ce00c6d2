import type { PacketError } from '../../errors.js';
import type { Btf } from './btf/btf.js';
import { unsupported } from './damage.js';

const KERNEL_SYMBOLS = '.ksyms';
const KERNEL_SETTINGS = '.kconfig';

/** What the object declares and does not have: functions of the kernel (`__ksym`), and what cannot be had here. */
export class Externals {
  readonly #functions = new Set<string>();
  readonly #variables = new Set<string>();
  readonly #settings = new Set<string>();

  constructor(btf: Btf | undefined) {
    for (const { type } of btf?.dataSection(KERNEL_SYMBOLS)?.variables ?? []) {
      const declared = btf!.type(type);
      (declared.kind === 'func' ? this.#functions : this.#variables).add(declared.name);
    }
    for (const { type } of btf?.dataSection(KERNEL_SETTINGS)?.variables ?? []) this.#settings.add(btf!.type(type).name);
  }

  /** Whether a name is that of a kernel function. */
  isKernelFunction(name: string): boolean {
    return this.#functions.has(name);
  }

  /** Why a name that is no kernel function to call cannot be had. */
  refusal(where: string, name: string): PacketError {
    if (this.#settings.has(name)) {
      return unsupported(where, `${name} is a setting of the kernel (__kconfig)`, 'use a global variable instead');
    }
    if (this.#functions.has(name)) {
      return unsupported(
        where,
        `it takes the address of ${name}, a kernel function`,
        'call it without asking whether it exists',
      );
    }
    if (this.#variables.has(name)) {
      return unsupported(
        where,
        `${name} is a variable of the kernel (__ksym)`,
        'XDP programs cannot have it: leave it out',
      );
    }
    return unsupported(where, `${name} is in another object`, 'link the objects first (bpftool gen object)');
  }
}
