import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSmall, softKernel } from '../../test/support/soft.js';
import type { MapContents, MapType } from '../ebpf/maps/contract.js';
import { checkReceive } from './compile-rules.js';

/** What the checks look at. */
function map(type: MapType): MapContents {
  return { definition: { name: 'sockets', type }, lookup: () => undefined } as unknown as MapContents;
}

const wrong = (message: RegExp) => ({ name: 'PacketError', code: 'INVALID_OPTION', message });

test('a map of sockets may be named, and nothing else for one', () => {
  const receive = { xskmap: map('xskmap') };
  assert.equal(checkReceive(receive), receive);
  assert.throws(
    () => checkReceive({ xskmap: map('devmap') }),
    wrong(/receive\.xskmap: a map of type devmap is no map of sockets/),
  );
  assert.throws(() => checkReceive({ xskmap: undefined }), wrong(/xskmap: undefined is no map/));
  assert.throws(() => checkReceive({ xskmap: 5 }), wrong(/xskmap: 5 is no map/));
  assert.throws(() => checkReceive({ ...receive, port: 53 }), wrong(/beside xskmap there is no port/));
  // What arrives on another thread has lost its functions.
  assert.throws(
    () => checkReceive({ xskmap: { definition: { type: 'xskmap' } } }),
    wrong(/\[object Object\] is no map/),
  );
});

test('sockets that hear copies cannot be in a map of sockets', async () => {
  await using kernel = softKernel();
  await kernel.addNic({ name: 'soft0' });
  for (const mode of ['v2', 'v3', 'v4'] as const) {
    await assert.rejects(openSmall(kernel, 'soft0', { mode, receive: { xskmap: map('xskmap') } }), {
      code: 'MODE_UNSUPPORTED',
      message: new RegExp(`receive: a socket in mode ${mode} cannot be in a map of AF_XDP sockets`),
      remedy: /xdp-zc, xdp-copy or xdp-generic/,
    });
  }
});
