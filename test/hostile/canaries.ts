import assert from 'node:assert/strict';
import type { Region } from '../../src/arena/arena.js';

/** The byte that all memory is filled with before anything happens. Adversaries never write it, honest packets do not have it. */
export const CANARY = 0xca;
const CANARY_WORD = 0xcacacaca | 0;

/** Fills the whole memory, so that whatever the kernel forgets to write, too, is seen when it gets out. */
export function fillWithCanaries(u8: Uint8Array): void {
  u8.fill(CANARY);
}

/** Regions that nobody may write to. */
export class Canaries {
  readonly #regions: (Region & { readonly name: string })[] = [];

  constructor(private readonly i32: Int32Array) {}

  /** @param region offset and length are multiples of 4 */
  guard(name: string, region: Region): void {
    this.i32.fill(CANARY_WORD, region.offset >> 2, (region.offset + region.bytes) >> 2);
    this.#regions.push({ name, ...region });
  }

  check(): void {
    const { i32 } = this;
    for (const { name, offset, bytes } of this.#regions) {
      const end = (offset + bytes) >> 2;
      for (let i = offset >> 2; i < end; i++) {
        if (i32[i] !== CANARY_WORD) assert.fail(`somebody has written to ${name}, at byte ${i * 4 - offset} of it`);
      }
    }
  }
}

/** Whether canaries are among these bytes: somebody sends what is not its own. */
export function hasCanary(u8: Uint8Array, offset: number, bytes: number): boolean {
  for (let i = offset; i < offset + bytes; i++) if (u8[i] === CANARY) return true;
  return false;
}
