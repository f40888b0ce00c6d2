import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AF_INET, POLLIN, SO_ERROR, SOCK_CLOEXEC, SOCK_DGRAM, SOL_SOCKET } from './constants.js';
import { Struct } from './struct.js';
import { SystemCalls } from './system-calls.js';

const skip = process.platform === 'linux' ? false : `needs Linux, not ${process.platform}`;

test('platforms and machines without these system calls are refused, and the soft kernel is named', async () => {
  for (const [platform, machine] of [
    ['darwin', 'arm64'],
    ['win32', 'x64'],
    ['linux', 's390x'],
    ['linux', 'arm'],
    ['linux', 'ia32'],
  ] as const) {
    await assert.rejects(SystemCalls.loadFor(platform, machine), {
      code: 'UNSUPPORTED_PLATFORM',
      remedy: /soft kernel/,
    });
  }
});

test('results are results, and failures are minus errno', { skip }, async () => {
  const calls = await SystemCalls.load();
  assert.equal(await SystemCalls.load(), calls);
  assert.equal(calls.interfaceIndex('lo'), 1);
  assert.equal(calls.interfaceIndex('no-such-one'), 0);
  const descriptor = calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert.ok(descriptor > 2);
  const error = new Struct(4);
  assert.equal(calls.getsockopt(descriptor, SOL_SOCKET, SO_ERROR, error), 4);
  assert.equal(error.readI32(0), 0);
  assert.equal(calls.setsockoptU32(descriptor, SOL_SOCKET, 9999, 1), -92); // ENOPROTOOPT
  const start = performance.now();
  assert.equal(calls.poll(descriptor, POLLIN, 20), 0);
  assert.ok(performance.now() - start >= 19);
  assert.equal(calls.close(descriptor), 0);
  assert.equal(calls.close(descriptor), -9); // EBADF
  assert.equal(calls.sendNothing(descriptor), -9);
  assert.equal(calls.receiveNothing(descriptor), -9);
});

test('the address of a structure is where the kernel finds it', { skip }, async () => {
  const calls = await SystemCalls.load();
  const target = new Struct(8);
  assert.equal(calls.address(target), calls.address(target.bytes));
  assert.equal(typeof calls.address(target), 'bigint');
});
