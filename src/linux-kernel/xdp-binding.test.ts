import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BindRequest } from '../kernel/contract.js';
import type { LinuxInterface } from './interfaces.js';
import { checkBinding, largestPacket } from './xdp-binding.js';

const device: LinuxInterface = {
  ...{ name: 'eth7', index: 7, driver: 'igb', queues: 4, receiveQueues: 2, transmitQueues: 4 },
  ...{ mtu: 1500, up: true, mac: '', modes: [], zeroCopy: false },
};
const memory = { base: 4096, frames: 64, frameSize: 2048, headroom: 0 };
const request: BindRequest = { interface: 'eth7', queue: 1, mode: 'xdp-copy', receive: 'all', segments: false };

test('a good request passes', () => {
  assert.deepEqual(checkBinding(request, device, memory, true, true), { queue: 1, mode: 'xdp-copy' });
  const { queue: _, ...unnamed } = request;
  assert.deepEqual(checkBinding(unnamed, { ...device, queues: 1 }, memory, true, true), { queue: 0, mode: 'xdp-copy' });
});

test('a queue must exist in every direction that is used', () => {
  const { queue: _, ...unnamed } = request;
  assert.throws(() => checkBinding(unnamed, device, memory, true, true), { code: 'NO_QUEUE', remedy: /queue: 0 to 3/ });
  // Four queues for sending, two for receiving: the kernel would bind, and no packet ever come.
  assert.throws(() => checkBinding({ ...request, queue: 3 }, device, memory, true, true), { code: 'NO_QUEUE' });
  assert.equal(checkBinding({ ...request, queue: 3, receive: 'none' }, device, memory, false, true).queue, 3);
  const reversed = { ...device, receiveQueues: 4, transmitQueues: 2 };
  assert.throws(() => checkBinding({ ...request, queue: 3 }, reversed, memory, true, true), { code: 'NO_QUEUE' });
  assert.equal(checkBinding({ ...request, queue: 3 }, reversed, memory, true, false).queue, 3);
});

test('packets must fit the frames, unless they may span several', () => {
  const jumbo = { ...device, mtu: 1779 }; // 14 + 1779 = 2048 - 256 + 1
  assert.throws(() => checkBinding(request, jumbo, memory, true, true), {
    code: 'FRAME_TOO_SMALL',
    remedy: 'frameSize: 4096',
  });
  assert.doesNotThrow(() => checkBinding(request, { ...device, mtu: 1778 }, memory, true, true));
  assert.throws(() => checkBinding(request, { ...device, mtu: 1778 }, { ...memory, headroom: 64 }, true, true), {
    code: 'FRAME_TOO_SMALL',
  });
  assert.doesNotThrow(() => checkBinding({ ...request, segments: true }, jumbo, memory, true, true));
  assert.doesNotThrow(() => checkBinding({ ...request, receive: 'none' }, jumbo, memory, false, true));
  assert.equal(largestPacket(jumbo, memory, false), 1793);
  assert.equal(largestPacket({ ...device, mtu: 9000 }, memory, false), 2048);
  assert.equal(largestPacket({ ...device, mtu: 9000 }, memory, true), 9014);
});

test('a device that counts receive buffers in whole KiB takes less of a frame in zero-copy', () => {
  const zeroCopy: BindRequest = { ...request, mode: 'xdp-zc' };
  assert.throws(() => checkBinding(zeroCopy, device, memory, true, true), {
    code: 'FRAME_TOO_SMALL',
    message: /1514 bytes.*room for 1024, of which igb takes whole units of 1024/,
    remedy: 'frameSize: 4096',
  });
  assert.throws(() => checkBinding({ ...zeroCopy, receive: 'none' }, device, memory, false, true), {
    code: 'FRAME_TOO_SMALL',
  });
  const large = { ...memory, frameSize: 4096 }; // 3840 bytes behind the headroom: 3 KiB
  assert.equal(checkBinding(zeroCopy, device, large, true, true).mode, 'xdp-zc');
  assert.doesNotThrow(() => checkBinding(zeroCopy, { ...device, mtu: 3058 }, large, true, true));
  assert.throws(() => checkBinding(zeroCopy, { ...device, mtu: 3059 }, large, true, true), { remedy: /mtu 3058/ });
  assert.doesNotThrow(() => checkBinding(zeroCopy, { ...device, driver: 'i40e' }, memory, true, true));
});
