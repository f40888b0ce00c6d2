export async function benchLatency(_args: readonly string[]): Promise<number> {
  return 1;
}
