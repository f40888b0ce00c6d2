import type { Machine } from '../machine.js';
import type { MapType } from '../maps/contract.js';

/**
 * What an argument must be, for the verifier. In brackets the kernel's word (enum bpf_arg_type).
 *
 * - `anything`: a number, or any pointer (ARG_ANYTHING)
 * - `context`: the program's context (ARG_PTR_TO_CTX)
 * - `map`: a map, known while verifying (ARG_CONST_MAP_PTR)
 * - `map-key`, `map-value`: memory with as many readable bytes as a key or value of the map has (ARG_PTR_TO_MAP_KEY, …_VALUE)
 * - `map-value-out`: the same, to be written by the helper (ARG_PTR_TO_UNINIT_MAP_VALUE)
 * - `memory`: readable bytes, as many as the next argument says (ARG_PTR_TO_MEM | MEM_RDONLY); `memory-or-null`: or 0
 * - `memory-out`: bytes for the helper to write, as many as the next argument says (ARG_PTR_TO_UNINIT_MEM)
 * - `memory-in-out`: bytes for the helper to read and to write, as many as the next argument says (ARG_PTR_TO_MEM)
 * - `memory-out-2`, `memory-out-4`, `memory-out-8`: so many bytes for the helper to write (ARG_PTR_TO_FIXED_SIZE_MEM)
 * - `size`, `size-or-zero`: length of the memory before it, in bytes (ARG_CONST_SIZE, ARG_CONST_SIZE_OR_ZERO)
 * - `allocation-size`: length of what is returned, known while verifying (ARG_CONST_ALLOC_SIZE_OR_ZERO)
 * - `reserved-memory`: what a helper has returned as such (ARG_PTR_TO_RINGBUF_MEM)
 * - `constant-string`: text in a frozen map, ending in 0 (ARG_PTR_TO_CONST_STR)
 * - `callback`: a subprogram (ARG_PTR_TO_FUNC)
 * - `stack-or-null`: a place on the stack, handed on to the callback, or 0 (ARG_PTR_TO_STACK_OR_NULL)
 */
export type ArgumentType =
  | 'anything'
  | 'context'
  | 'map'
  | 'map-key'
  | 'map-value'
  | 'map-value-out'
  | 'memory'
  | 'memory-or-null'
  | 'memory-out'
  | 'memory-in-out'
  | 'memory-out-2'
  | 'memory-out-4'
  | 'memory-out-8'
  | 'size'
  | 'size-or-zero'
  | 'allocation-size'
  | 'reserved-memory'
  | 'constant-string'
  | 'callback'
  | 'stack-or-null';

/**
 * What register 0 holds afterwards. In brackets the kernel's word (enum bpf_return_type).
 *
 * - `number` (RET_INTEGER), `nothing` (RET_VOID)
 * - `map-value-or-null`: the value of an entry of the `map` argument (RET_PTR_TO_MAP_VALUE_OR_NULL); of a map of maps a map
 * - `reserved-memory-or-null`: as many bytes as `allocation-size` said, to be given to a helper that `releases` (RET_PTR_TO_RINGBUF_MEM_OR_NULL)
 */
export type ReturnType = 'number' | 'nothing' | 'map-value-or-null' | 'reserved-memory-or-null';

/** A function that programs can call. */
export interface Helper {
  /** Name as in the kernel, without `bpf_`: `map_lookup_elem`. */
  readonly name: string;
  /** Number (enum bpf_func_id in linux/bpf.h); undefined for kernel functions, which are known by name. */
  readonly number: number | undefined;
  /** At most five. */
  readonly arguments: readonly ArgumentType[];
  /** What register 0 holds afterwards. */
  readonly returns: ReturnType;
  /** Types that the `map` argument may have; undefined for all. */
  readonly mapTypes?: readonly MapType[];
  /** It may move the packet: pointers into the packet are invalid afterwards. */
  readonly movesPacket?: boolean;
  /** It takes what was returned as `reserved-memory-or-null`: the program must not use it any more, and must not end before. */
  readonly releases?: boolean;
  /** Linux gives it to GPL-compatible programs only. */
  readonly gplOnly?: boolean;
  /**
   * Does it: arguments in registers 1 to 5 of the machine's control block, result into both words of register 0. It trusts nothing: given
   * what the verifier would have refused it leaves 0 (for pointers) or -EINVAL or -EFAULT, and touches nothing. It neither throws nor
   * allocates. Undefined where the engine itself does it, because other code of the program runs: tail_call, loop, for_each_map_elem.
   */
  readonly call: ((machine: Machine) => void) | undefined;
}

/** The helpers that programs of a machine may call. */
export interface HelperTable {
  /** The helper with a number of enum bpf_func_id, or undefined. */
  byNumber(number: number): Helper | undefined;
  /** The kernel function of a name, or undefined. */
  byName(name: string): Helper | undefined;
}
