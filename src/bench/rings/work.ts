/**
 * Extra work: `steps` multiplications, each of which needs the one before. Returns the last product, which the caller keeps, so
 * that no compiler leaves the work out.
 */
export function work(steps: number, seed: number): number {
  let value = seed;
  for (let i = 0; i < steps; i++) value = (Math.imul(value, 1103515245) + 12345) | 0;
  return value;
}

/** Nanoseconds that {@link work} takes by itself, the least of several tries. */
export function workNanoseconds(steps: number): number {
  if (steps === 0) return 0;
  const times = 2000;
  let least = Number.POSITIVE_INFINITY;
  let value = 1;
  for (let attempt = 0; attempt < 20; attempt++) {
    const start = performance.now();
    for (let i = 0; i < times; i++) value = work(steps, value);
    least = Math.min(least, ((performance.now() - start) * 1e6) / times);
  }
  return value === 0 ? least + Number.MIN_VALUE : least;
}
