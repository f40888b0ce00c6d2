/** From here on the engine's own routines are faster than a loop. */
const FEW_BYTES = 64;

/** Copies bytes within an array: few ones, as programs' keys and values are, in a loop. What overlaps counts as it was before. */
export function copyBytes(u8: Uint8Array, to: number, from: number, bytes: number): void {
  if (bytes > FEW_BYTES || (to > from && to < from + bytes)) u8.copyWithin(to, from, from + bytes);
  else for (let i = 0; i < bytes; i++) u8[to + i] = u8[from + i]!;
}

/** Makes bytes zero. */
export function clearBytes(u8: Uint8Array, at: number, bytes: number): void {
  if (bytes > FEW_BYTES) u8.fill(0, at, at + bytes);
  else for (let i = at; i < at + bytes; i++) u8[i] = 0;
}
