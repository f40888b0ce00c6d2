import { CONTEXT_BYTES } from '../execution.js';
import type { Machine } from '../machine.js';
import type { EbpfMap } from '../maps/contract.js';

/** Addresses between two others; arena offsets. */
export interface AddressRange {
  /** Where distances count from. */
  readonly origin: number;
  /** The first one. */
  readonly first: number;
  /** The one after the last. */
  readonly end: number;
}

/** Says what pointers point to. Numbers that only look like one are taken for it: registers do not tell. */
export class Landmarks {
  readonly #machine: Machine;
  readonly #maps: readonly EbpfMap[];
  readonly #ranges: ReadonlyMap<string, AddressRange>;

  /** @param packet where a packet begins, and the room that it has */
  constructor(machine: Machine, maps: readonly EbpfMap[], packet: AddressRange) {
    this.#machine = machine;
    this.#maps = maps.filter(({ row }) => row !== undefined);
    const { context } = machine;
    this.#ranges = new Map([
      ['packet', packet],
      ['ctx', { origin: context, first: context, end: context + CONTEXT_BYTES }],
    ]);
  }

  /** What register 10 holds in a program's first function. */
  get firstFrame(): bigint {
    return BigInt(this.#machine.stackEnd);
  }

  /**
   * Names an address: `packet+14` (from where the packet began before the program ran), `ctx+4`, `fp-8`, `counts[3]+0` (a map's value).
   *
   * @param framePointer what register 10 holds
   */
  nameOf(address: bigint, framePointer: bigint): string | undefined {
    if (address >= 1n << 31n) return undefined;
    const at = Number(address);
    for (const [name, { origin, first, end }] of this.#ranges) {
      if (at >= first && at <= end) return `${name}${signed(at - origin)}`;
    }
    const { low, stackEnd } = this.#machine;
    if (at >= low && at <= stackEnd) return `fp${signed(at - Number(framePointer))}`;
    for (const { row, definition } of this.#maps) {
      const { first, stride } = row!;
      const index = Math.floor((at - first) / stride);
      if (index >= 0 && index < definition.maxEntries)
        return `${definition.name}[${index}]${signed(at - first - index * stride)}`;
    }
    return undefined;
  }
}

function signed(distance: number): string {
  return distance < 0 ? String(distance) : `+${distance}`;
}
