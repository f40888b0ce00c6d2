/** What is known wherever an instruction is come to, so that nothing is checked twice; the verifier of Linux finds the same. */
export interface Knowledge {
  /** Bytes that the packet has at least. */
  readonly bytes: number;
  /** Most that the registers may hold. */
  readonly accumulator: number;
  readonly index: number;
  /** What the pointer register is, or undefined where it is nothing: the packet and the index. */
  readonly pointer: PointerKnowledge | undefined;
}

export interface PointerKnowledge {
  /** Bytes that the packet has at least behind it. */
  readonly bytes: number;
  /** Most that the index was when the pointer was made. */
  readonly most: number;
}

export const GREATEST = 0xffffffff;

/** Before the first instruction: both registers are 0. */
export const NOTHING_KNOWN: Knowledge = { bytes: 0, accumulator: 0, index: 0, pointer: undefined };

/** What holds on both of two ways. */
export function knownOnBoth(first: Knowledge, second: Knowledge): Knowledge {
  return {
    bytes: Math.min(first.bytes, second.bytes),
    accumulator: Math.max(first.accumulator, second.accumulator),
    index: Math.max(first.index, second.index),
    pointer:
      first.pointer === undefined || second.pointer === undefined
        ? undefined
        : {
            bytes: Math.min(first.pointer.bytes, second.pointer.bytes),
            most: Math.max(first.pointer.most, second.pointer.most),
          },
  };
}
