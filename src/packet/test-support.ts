/** Random whole numbers below a limit, the same in every run (a 32-bit xorshift generator). */
export type Random = (limit: number) => number;

export function seeded(seed: number): Random {
  let state = Math.imul(seed + 1, 0x9e3779b1) || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * limit);
  };
}

export function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random(256));
}
