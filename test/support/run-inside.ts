import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { VethPair, type VethPairOptions } from './veth-pair.js';

/**
 * Runs a file of tests in a network namespace of its own, at the near end of a veth pair: a process lives in one namespace.
 *
 * @param script the file's compiled form
 */
export async function runInside(script: URL, options: VethPairOptions = {}): Promise<void> {
  const pair = VethPair.create(options);
  try {
    const { status, stdout, stderr } = await pair.start(pair.near, fileURLToPath(script)).result;
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /# fail 0/);
    assert.doesNotMatch(stdout, /# pass 0/);
  } finally {
    pair.close();
  }
}
