import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../../../src/ebpf/text/assemble.js';
import { PacketError } from '../../../src/errors.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { ACCEPTED, HOSTILE, LENIENT } from '../../support/verifier-programs.js';

/** Why Linux refuses a program, or undefined where it takes it. */
async function refusalOf(kernel: LinuxKernel, text: string): Promise<PacketError | undefined> {
  try {
    const loaded = await kernel.loadObject(assemble(text));
    loaded.close();
    return undefined;
  } catch (error) {
    if (error instanceof PacketError && error.code === 'PROGRAM_REFUSED') return error;
    throw error;
  }
}

test('Linux accepts the programs that our verifier must accept', async () => {
  const kernel = new LinuxKernel();
  try {
    for (const { name, text } of ACCEPTED) assert.equal((await refusalOf(kernel, text))?.message, undefined, name);
  } finally {
    await kernel.close();
  }
});

test('Linux refuses the programs that our verifier must refuse, and those that it need not', async () => {
  const kernel = new LinuxKernel();
  try {
    for (const { name, text } of [...HOSTILE, ...LENIENT])
      assert.notEqual(await refusalOf(kernel, text), undefined, name);
  } finally {
    await kernel.close();
  }
});
