import type { ArenaMemory } from '../../arena/arena.js';
import { KERNEL_OWNED } from '../../ring/v4/layout.js';
import { DESCRIPTOR_RUNS_BASE64 } from './descriptor-runs.generated.js';

/** What the inner loops of the minimal rings are written in, besides C. */
export const LOOP_LANGUAGES = ['typescript', 'webassembly'] as const;
export type LoopLanguage = (typeof LOOP_LANGUAGES)[number];

/**
 * The inner loops of the minimal rings: `count` descriptors of 16 bytes from arena byte offset `at` on, which do not cross the
 * ring's end.
 */
export interface DescriptorRuns {
  /** Writes descriptors `position` to `position + count`. */
  writeRun(at: number, count: number, position: number): void;
  /** Reads descriptors. Returns the sum of their first three words. */
  readRun(at: number, count: number): number;
  /** The same, and makes them the kernel's. */
  takeRun(at: number, count: number): number;
}

export function descriptorRuns(language: LoopLanguage, memory: ArenaMemory): DescriptorRuns {
  if (language === 'typescript') return new TypeScriptRuns(new Int32Array(memory.buffer));
  const bytes = Uint8Array.from(atob(DESCRIPTOR_RUNS_BASE64), (character) => character.charCodeAt(0));
  const module = new WebAssembly.Module(bytes);
  return new WebAssembly.Instance(module, { env: { memory: memory as WebAssembly.Memory } })
    .exports as unknown as DescriptorRuns;
}

// Private copies: V8 folds them into the code, imported constants it loads from their module wherever they are used.
const OWNED = KERNEL_OWNED;
const LENGTH = 60;
const OFFSET = 256;

/**
 * Descriptors begin at multiples of four words: `word | 1` spares the check for overflow that `word + 1` needs (1.3 instead of
 * 1.8 ns a descriptor).
 */
class TypeScriptRuns implements DescriptorRuns {
  constructor(private readonly i32: Int32Array) {}

  writeRun(at: number, count: number, position: number): void {
    const { i32 } = this;
    const first = at >> 2;
    const end = first + (count << 2);
    for (let word = first, index = position; word < end; word = (word + 4) | 0) {
      i32[word] = index;
      i32[word | 1] = LENGTH;
      i32[word | 2] = OFFSET;
      index = (index + 1) | 0;
    }
  }

  readRun(at: number, count: number): number {
    const { i32 } = this;
    const first = at >> 2;
    const end = first + (count << 2);
    let sum = 0;
    for (let word = first; word < end; word = (word + 4) | 0) {
      sum = (((((sum + i32[word]!) | 0) + i32[word | 1]!) | 0) + i32[word | 2]!) | 0;
    }
    return sum;
  }

  takeRun(at: number, count: number): number {
    const { i32 } = this;
    const first = at >> 2;
    const end = first + (count << 2);
    let sum = 0;
    for (let word = first; word < end; word = (word + 4) | 0) {
      sum = (((((sum + i32[word]!) | 0) + i32[word | 1]!) | 0) + i32[word | 2]!) | 0;
      i32[word | 2] = OWNED;
    }
    return sum;
  }
}
