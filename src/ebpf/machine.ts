import { type Arena, PAGE_BYTES, type Region } from '../arena/arena.js';
import { FreeParts, type Part } from '../arena/free-parts.js';
import { checkInteger, PacketError } from '../errors.js';
import { checkOptionNames } from '../options.js';
import {
  CONTEXT_BYTES,
  CONTROL_BYTES,
  CONTROL_PACKET,
  DEFAULT_BUDGET,
  type Executable,
  MOST_CALL_FRAMES,
  PACKET_DATA_END,
  PACKET_DATA_META,
  STACK_FRAME_BYTES,
} from './execution.js';
import type { HelperTable } from './helpers/contract.js';
import type { EbpfMap } from './maps/contract.js';

/** Cache lines: values of different maps, and stack and context, never share one. */
const ALIGNMENT = 64;
/** Scratch bytes of a machine: what is left of its first page. */
export const SCRATCH_BYTES = PAGE_BYTES - CONTROL_BYTES;
const DEFAULT_BYTES = 64 * 2 ** 20;

/** How a machine is made. */
export interface MachineOptions {
  /** What programs may call. */
  readonly helpers: HelperTable;
  /** Bytes for stack, context and the values of all maps, 64 KiB to 1 GiB; taken from memory only when touched. */
  readonly bytes?: number;
  /** CPUs that programs see: maps for each CPU have so many values. 1 to 1024, by default 1. */
  readonly cpus?: number;
  /** Instructions that a program may execute for a packet, up to 2^30. */
  readonly budget?: number;
}

/**
 * What programs run on: their memory, their maps, their helpers. A machine belongs to one thread, and its programs trust each other with
 * their maps; programs that must not see each other's maps get machines of their own.
 *
 *     region: | control block, scratch | context | stack frames | map values ... free ... |
 *                                      ^ low     program memory: all that programs reach  ^ high
 *
 * Programs reach the packet that they run on, too, and nothing else in the arena.
 */
export class Machine {
  /** Where its memory and all packets lie. */
  readonly arena: Arena;
  /** What programs may call. */
  readonly helpers: HelperTable;
  /** CPUs that programs see. */
  readonly cpus: number;
  /** Instructions that a program may execute for a packet. */
  readonly budget: number;
  /** Arena offset of the control block; its words are listed in execution.ts. */
  readonly control: number;
  /** Arena offset of {@link SCRATCH_BYTES} where programs cannot reach: maps and helpers put there what they look at right away. */
  readonly scratch: number;
  /** Arena offset of the first byte of program memory. */
  readonly low: number;
  /** Arena offset of the first byte of program memory that programs may write: before it lies the context. */
  readonly writable: number;
  /** Arena offset of the byte after program memory. */
  readonly high: number;
  /** Arena offset of the context, struct xdp_md. */
  readonly context: number;
  /** Arena offset of the end of the first stack frame; each further frame ends {@link STACK_FRAME_BYTES} lower. */
  readonly stackEnd: number;
  readonly #region: Region;
  readonly #free: FreeParts;
  readonly #maps: (EbpfMap | undefined)[] = [undefined];
  readonly #programs: (Executable | undefined)[] = [undefined];

  /** @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED */
  constructor(arena: Arena, options: MachineOptions) {
    checkOptionNames('machine', options, ['helpers', 'bytes', 'cpus', 'budget']);
    const { helpers, bytes = DEFAULT_BYTES, cpus = 1, budget = DEFAULT_BUDGET } = options;
    checkInteger('machine bytes', bytes, 65536, 2 ** 30);
    this.cpus = checkInteger('machine cpus', cpus, 1, 1024);
    this.budget = checkInteger('machine budget', budget, 1, 2 ** 30);
    this.arena = arena;
    this.helpers = helpers;
    this.#region = arena.allocate(PAGE_BYTES + bytes);
    this.control = this.#region.offset;
    this.scratch = this.control + CONTROL_BYTES;
    this.low = this.#region.offset + PAGE_BYTES;
    this.high = this.#region.offset + this.#region.bytes;
    arena.u8.fill(0, this.control, this.low);
    this.#free = new FreeParts({ offset: this.low, bytes: this.high - this.low });
    this.context = this.allocate(CONTEXT_BYTES).offset;
    this.writable = this.context + ALIGNMENT;
    const stack = this.allocate(MOST_CALL_FRAMES * STACK_FRAME_BYTES);
    this.stackEnd = stack.offset + MOST_CALL_FRAMES * STACK_FRAME_BYTES;
  }

  /**
   * Gives out program memory, zeroed, at a multiple of 64: for the values of a map. The owner gives it back with `free`.
   *
   * @throws PacketError ARENA_EXHAUSTED
   */
  allocate(bytes: number): Part {
    const length = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    const offset = this.#free.take(length, ALIGNMENT);
    if (offset === undefined) {
      throw new PacketError(
        'ARENA_EXHAUSTED',
        `no ${length} bytes left for maps of eBPF programs (${this.#free.bytes} bytes are free)`,
        { remedy: 'use fewer or smaller maps, or give the machine more bytes' },
      );
    }
    this.arena.u8.fill(0, offset, offset + length);
    return { offset, bytes: length };
  }

  /** Takes program memory back: what `allocate` gave out. */
  free(part: Part): void {
    this.#free.give(part);
  }

  /** Enters a map under the handle that `create` is given. Handles start at 1, and those of removed maps are given again. */
  addMap<Kind extends EbpfMap>(create: (handle: number) => Kind): Kind {
    const handle = firstFree(this.#maps);
    const map = create(handle);
    this.#maps[handle] = map;
    return map;
  }

  /** Forgets a map. */
  removeMap(handle: number): void {
    this.#maps[handle] = undefined;
  }

  /** The map with a handle, or undefined: programs may hand over any number. */
  map(handle: number): EbpfMap | undefined {
    return this.#maps[handle];
  }

  /** The highest handle that a map has, or had. */
  get lastMap(): number {
    return this.#maps.length - 1;
  }

  /** Enters a program, so that maps can name it: programs to call by tail call. Returns its number, from 1. */
  addProgram(program: Executable): number {
    return this.#programs.push(program) - 1;
  }

  /** Forgets a program. */
  removeProgram(number: number): void {
    this.#programs[number] = undefined;
  }

  /** The program with a number, or undefined. */
  program(number: number): Executable | undefined {
    return this.#programs[number];
  }

  /**
   * Whether the program that runs may read `bytes` (at least 0) at an address given as two words: helpers ask before they follow a pointer.
   */
  reaches(address: number, upper: number, bytes: number): boolean {
    return this.#reachesFrom(this.low, address, upper, bytes);
  }

  /** Whether it may write them. */
  mayWrite(address: number, upper: number, bytes: number): boolean {
    return this.#reachesFrom(this.writable, address, upper, bytes);
  }

  #reachesFrom(low: number, address: number, upper: number, bytes: number): boolean {
    if (upper !== 0 || address < 0) return false;
    const end = address + bytes;
    if (address >= low && end <= this.high) return true;
    const words = this.arena.i32;
    const record = words[(this.control >> 2) + CONTROL_PACKET]! >> 2;
    return address >= words[record + PACKET_DATA_META]! && end <= words[record + PACKET_DATA_END]!;
  }

  /** Gives the memory back. Programs and maps of the machine must not be used any more. */
  close(): void {
    this.arena.free(this.#region);
  }
}

/** The lowest index from 1 that holds nothing. */
function firstFree(list: readonly unknown[]): number {
  const found = list.indexOf(undefined, 1);
  return found < 0 ? list.length : found;
}
