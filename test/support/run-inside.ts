import assert from 'node:assert/strict';
import { VethPair, type VethPairOptions } from './veth-pair.js';

/**
 * Runs a file of tests at the near end of a veth pair of its own: a process lives in one network namespace.
 *
 * @param script path of the compiled file; all its tests must pass, and there must be some
 */
export async function runInside(script: string, options: VethPairOptions = {}): Promise<void> {
  const pair = VethPair.create(options);
  try {
    const { status, stdout, stderr } = await pair.start(pair.near, script).result;
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /# fail 0/);
    assert.doesNotMatch(stdout, /# pass 0/);
  } finally {
    pair.close();
  }
}
