export async function benchSoak(_args: readonly string[]): Promise<number> {
  return 1;
}
