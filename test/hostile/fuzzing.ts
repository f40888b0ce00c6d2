import { test } from 'node:test';

// TP4_FUZZ_SECONDS=60: every fuzz test goes on with new seeds for so long. TP4_FUZZ_SEED=7: only this seed.
const SECONDS = Number(process.env.TP4_FUZZ_SECONDS ?? 0);
const SEED = process.env.TP4_FUZZ_SEED;

/** Registers a test that runs for several seeds; a failure names the seed that repeats it. */
export function fuzz(name: string, seeds: number, run: (seed: number) => Promise<void>): void {
  test(name, async () => {
    if (SEED !== undefined) return attempt(name, Number(SEED), run);
    const end = performance.now() + SECONDS * 1000;
    for (let seed = 1; seed <= seeds || performance.now() < end; seed++) await attempt(name, seed, run);
  });
}

async function attempt(name: string, seed: number, run: (seed: number) => Promise<void>): Promise<void> {
  try {
    await run(seed);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${name}, seed ${seed} (repeat with TP4_FUZZ_SEED=${seed}): ${reason}`, { cause });
  }
}
