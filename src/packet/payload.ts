/**
 * What a made packet carries:
 *
 *     'zeros'                  nothing but zeros
 *     'count'                  0, 1, 2 ... 255, 0 ...: a shifted or cut packet is seen at once
 *     { seed: 7 }              random bytes, the same for the same seed on every machine
 *     Uint8Array               these bytes, over and over
 */
export type PayloadPattern =
  | 'zeros'
  | 'count'
  | {
      /** Any integer of 32 bits; neighbouring ones give unlike bytes. */
      readonly seed: number;
    }
  | Uint8Array;

/** Fills `length` bytes from `offset` on with a pattern. */
export function fillPayload(bytes: Uint8Array, offset: number, length: number, pattern: PayloadPattern): void {
  const end = offset + length;
  if (pattern === 'count') {
    for (let at = offset; at < end; at++) bytes[at] = at - offset;
  } else if (pattern === 'zeros' || (pattern instanceof Uint8Array && pattern.length === 0)) {
    bytes.fill(0, offset, end);
  } else if (pattern instanceof Uint8Array) {
    for (let at = offset; at < end; at++) bytes[at] = pattern[(at - offset) % pattern.length]!;
  } else {
    fillRandom(bytes, offset, end, pattern.seed);
  }
}

/** Marsaglia's 32-bit xorshift (2003), of which the upper bits are used: good enough to defeat compression and patterns. */
function fillRandom(bytes: Uint8Array, offset: number, end: number, seed: number): void {
  // Neighbouring seeds must not give similar bytes, and the state must not be 0.
  let state = Math.imul(seed ^ (seed >>> 16), 0x9e3779b1) || 0x6a09e667;
  for (let at = offset; at < end; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state >>> 24;
  }
}
