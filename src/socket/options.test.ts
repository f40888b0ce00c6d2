import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSmall, softKernel } from '../../test/support/soft.js';
import { Arena } from '../arena/arena.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { ThreadedSoftKernel } from '../soft-kernel/thread/threaded-kernel.js';
import { openSocket } from './open-socket.js';

const refused = (message: RegExp) => ({ name: 'PacketError', code: 'INVALID_OPTION', message });

test('options that there are not are refused, with the one that was probably meant', async () => {
  await using kernel = softKernel();
  await kernel.addNic({ name: 'soft0' });
  await assert.rejects(
    openSmall(kernel, 'soft0', { outcome: true } as never),
    refused(/openSocket: there is no option outcome \(did you mean outcomes\?\)/),
  );
  assert.throws(
    () => PacketBuffer.create({ arena: kernel.arena, frame: 64 } as never),
    refused(/packet buffer: .* frame \(did you mean frames\?\)/),
  );
  await assert.rejects(
    kernel.addNic({ name: 'x', queue: 2 } as never),
    refused(/addNic: .* queue \(did you mean queues\?\)/),
  );
  await assert.rejects(
    kernel.addVeth({ names: ['x', 'y'], mac: [] } as never),
    refused(/addVeth: .* mac \(did you mean macs\?\)/),
  );
  const wires: [object, RegExp][] = [
    [{ kind: 'generator', sizes: 64 }, /wire \(generator\): .* sizes \(did you mean size\?\)/],
    [{ kind: 'fault', wire: { kind: 'none' }, dropp: 0.5 }, /wire \(fault\): .* dropp \(did you mean drop\?\)/],
    [{ kind: 'fault', wire: { kind: 'generator', colour: 1 } }, /wire \(generator\): .* colour/],
    [{ kind: 'record', size: 1 }, /wire \(record\): .* size/],
  ];
  for (const [wire, message] of wires) {
    await assert.rejects(kernel.addNic({ name: 'x', wire: wire as never }), refused(message));
  }
});

test('options of a wrong type are refused by name', async () => {
  await using kernel = softKernel();
  await kernel.addNic({ name: 'soft0' });
  const wrong: [object, RegExp][] = [
    [{ outcomes: 'yes' }, /outcomes: yes is not true or false/],
    [{ segments: 1 }, /segments: 1 is not true or false/],
    [{ exclusive: 'yes' }, /exclusive: yes is not true or false/],
    [{ onDowngrade: 'log' }, /onDowngrade: log is not a function/],
    [{ buffer: 5 }, /buffer: 5 is neither/],
    [{ kernel: null }, /kernel: null is not a kernel/],
    [{ mode: 'v3', ringFrameSize: 65536, blockSize: 4096 }, /ringFrameSize: 65536 .* blockSize/],
    [{ mode: 'v2', retireMilliseconds: -1 }, /retireMilliseconds: -1/],
  ];
  for (const [options, message] of wrong) await assert.rejects(openSmall(kernel, 'soft0', options), refused(message));
  await assert.rejects(openSocket(undefined as never), refused(/not an object/));
  await assert.rejects(kernel.addNic({ name: 'x', pause: 'x' as never }), refused(/pause: x/));
  await assert.rejects(kernel.setLink('soft0', 'down' as never), refused(/up: down is not true or false/));
  await assert.rejects(kernel.setStuck('soft0', 0, 'yes' as never), refused(/stuck: yes/));
  assert.throws(() => new ThreadedSoftKernel({} as never), refused(/host: undefined cannot start threads/));
  assert.throws(
    () => new ThreadedSoftKernel({ hosts: 1, arena: Arena.create(2 ** 20) } as never),
    refused(/ThreadedSoftKernel: .* hosts \(did you mean host\?\)/),
  );
});

test('waits with wrong options are refused by name', async () => {
  await using kernel = softKernel();
  await kernel.addNic({ name: 'soft0' });
  await using socket = await openSmall(kernel, 'soft0');
  await assert.rejects(socket.wait({ for: 'x' as never }), refused(/for: x is not one of receive, send, either/));
  await assert.rejects(
    socket.wait({ strategy: 'foo' as never }),
    refused(/strategy: foo is not one of event, hybrid, busy/),
  );
  assert.throws(() => socket.waitBlocking({ strategy: 'foo' as never }), refused(/strategy: foo/));
});
