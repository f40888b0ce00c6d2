import type { MapDefinition } from '../maps/contract.js';
import { type Bounds, isUnknown, UNKNOWN, ZERO } from './bounds.js';

/**
 * A number that an instruction has made. States share it: two registers that hold the same object hold the same number, whatever it is, so
 * that what is learnt of one holds for the other.
 *
 * Most numbers do not matter for whether a program is good. One that does, because it was added to a pointer or decided a jump, is marked as
 * precise together with all that it came from; only those are compared when a state is looked for among those seen before.
 */
export class NumberValue {
  readonly kind = 'number';
  readonly bounds: Bounds;
  #precise = false;
  /** What it was made from, until it is precise. */
  #sources: readonly NumberValue[];

  constructor(bounds: Bounds, ...sources: readonly NumberValue[]) {
    this.bounds = bounds;
    // What is not known at all depends on nothing.
    this.#sources = isUnknown(bounds) ? [] : sources.filter((source) => !source.#precise);
  }

  /** A number of which nothing is known. */
  static unknown(): NumberValue {
    return new NumberValue(UNKNOWN);
  }

  get precise(): boolean {
    return this.#precise;
  }

  /** The verdict depends on its bounds. */
  demand(): void {
    const demanded: NumberValue[] = [this];
    for (let value = demanded.pop(); value !== undefined; value = demanded.pop()) {
      if (value.#precise) continue;
      value.#precise = true;
      demanded.push(...value.#sources);
      value.#sources = [];
    }
  }
}

/** What a pointer points into. */
export type PointerKind =
  | 'context'
  | 'stack'
  | 'packet'
  | 'packet metadata'
  | 'packet end'
  | 'map'
  | 'map value'
  | 'map key'
  | 'reserved memory'
  | 'subprogram';

/** Tells one thing from another of its kind: reserved memory, or packet pointers that differ by a distance which is not known. */
export class Identity {
  /** @param slot of the instruction that made it */
  constructor(readonly slot: number) {}
}

/** Packet pointers that nothing unknown was added to. */
export const PACKET_START = new Identity(0);

/** A pointer. It points `offset` plus `variable` bytes behind the start of its target. */
export interface Pointer {
  readonly kind: PointerKind;
  readonly offset: number;
  readonly variable: Bounds;
  /** It may be 0 instead; nothing but a comparison may be done to it. */
  readonly orNull: boolean;
  /** Of packets: which pointers differ from it by a known distance. Of reserved memory: which it is. */
  readonly identity: Identity;
  /** Of packets: bytes from `variable` on that lie within. Of memory, keys and values: how many it has. */
  readonly bytes: number;
  /** Of stacks: number of the frame, from 0. Of subprograms: its first slot. */
  readonly place: number;
  /** Of maps, their values and keys. */
  readonly map: MapDefinition | undefined;
}

/** What a register or a slot of the stack holds. */
export type Value = NumberValue | Pointer;

/** A pointer to the start of something. */
export function createPointer(kind: PointerKind, parts: Partial<Pointer> = {}): Pointer {
  return {
    kind,
    offset: 0,
    variable: ZERO,
    orNull: false,
    identity: PACKET_START,
    bytes: 0,
    place: 0,
    map: undefined,
    ...parts,
  };
}

export function isPacketPointer({ kind }: Value): boolean {
  return kind === 'packet' || kind === 'packet metadata';
}
