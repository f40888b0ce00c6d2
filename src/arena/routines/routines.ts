import type { ArenaMemory } from '../arena.js';
import { ROUTINES_BASE64 } from './routines.generated.js';

/**
 * The data-moving routines over one arena; see assembly/index.ts for the layouts of their lists. All arguments are byte
 * offsets, counts and lengths; the caller has validated them.
 */
export interface Routines {
  /** Copies `count` packets; three words each at `list`: source, destination, length in bytes. */
  copyPackets(list: number, count: number): void;
  /** Wire to frames: see src/nic. Leaves descriptors used, packets and bytes in three words at `result`. */
  receiveDma(
    ring: number,
    mask: number,
    head: number,
    tail: number,
    room: number,
    list: number,
    count: number,
    hashes: number,
    longest: number,
    result: number,
  ): void;
  /** Reads a byte of each frame that `receiveDma` would write: worth it when thousands of queues are in use. */
  readAhead(ring: number, mask: number, head: number, tail: number, count: number): void;
  /** Frames to the transmit FIFO: see src/nic. Leaves descriptors used, packets and bytes in three words at `result`. */
  transmitDma(
    ring: number,
    mask: number,
    head: number,
    tail: number,
    fifo: number,
    fifoBytes: number,
    list: number,
    capacity: number,
    result: number,
  ): void;
  /** Writes a word for each of `count` packets at `marks`: 1 when it is plainly of the flow of the one before, else 0. */
  markFlows(list: number, count: number, marks: number): void;
}

let compiled: WebAssembly.Module | undefined;

/** Instantiates the routines over a memory; the module (about 1 KiB) is compiled once per thread. */
export function loadRoutines(memory: ArenaMemory): Routines {
  compiled ??= new WebAssembly.Module(Uint8Array.from(atob(ROUTINES_BASE64), (character) => character.charCodeAt(0)));
  return new WebAssembly.Instance(compiled, { env: { memory: memory as WebAssembly.Memory } })
    .exports as unknown as Routines;
}
