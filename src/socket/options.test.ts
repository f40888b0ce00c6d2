import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSmall, softKernel } from '../../test/support/soft.js';
import { Arena } from '../arena/arena.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
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
    [{ kind: 'fault', wire: { kind: 'none' }, flap: { up: 1 } }, /flap: .* up\b/],
  ];
  for (const [wire, message] of wires) {
    await assert.rejects(kernel.addNic({ name: 'x', wire: wire as never }), refused(message));
  }
  const devices: [object, RegExp][] = [
    [{ moderation: { packet: 4 } }, /moderation: .* packet \(did you mean packets\?\)/],
    [{ moderation: 4 }, /moderation: 4 is not an object/],
    [{ rss: { entrys: 4 } }, /rss: .* entrys \(did you mean entries\?\)/],
    [{ rss: { queues: 4 } }, /rss: there is no option queues/],
    [{ rss: { ports: 'no' } }, /rss\.ports: no is not true or false/],
  ];
  for (const [device, message] of devices) {
    await assert.rejects(kernel.addNic({ name: 'x', ...device } as never), refused(message));
  }
  assert.throws(
    () => new SoftKernel({ clocks: 1 } as never),
    refused(/SoftKernel: .* clocks \(did you mean clock\?\)/),
  );
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
  await assert.rejects(
    socket.wait({ timeout: 5 } as never),
    refused(/wait: there is no option timeout \(did you mean timeoutMilliseconds\?\)/),
  );
  await assert.rejects(socket.wait({ spinMicroseconds: -1 }), refused(/spinMicroseconds: -1/));
  await assert.rejects(
    socket.packets({ batchSize: 5 } as never).next(),
    refused(/packets: there is no option batchSize/),
  );
});

test('each error says what can be done about it', async () => {
  await using kernel = softKernel();
  await kernel.addNic({ name: 'soft0' });
  const socket = await openSmall(kernel, 'soft0', { receive: 'none' });
  const advised = (code: string, remedy: RegExp) => ({ name: 'PacketError', code, remedy });
  await assert.rejects(socket.steer('all'), advised('WRONG_STATE', /^open a socket that receives/));
  await socket.close();
  await assert.rejects(socket.steer('all'), advised('SOCKET_CLOSED', /^open another/));
  const options: [object, RegExp][] = [
    [{ ring: 4 }, /^the least is 8$/],
    [{ ring: 1e6 }, /^the most is 65536$/],
    [{ ring: 100 }, /^the nearest below is 64$/],
    [{ ring: 'many' }, /^give a number, such as 8$/],
    [{ mode: 'xpd-zc' }, /^perhaps you mean xdp-zc$/],
    [{ mode: 'quickest' }, /^use best or xdp-zc or /],
    [{ mode: [] }, /^use 'best'/],
    [{ outcomes: 1 }, /^give one of the two/],
    [{ receive: [{ ports: 53 }] }, /^a rule has etherType, vlan, /],
    [{ ring: 64, rings: 64 }, /^it may have kernel, interface, /],
  ];
  for (const [wrong, remedy] of options) {
    await assert.rejects(openSmall(kernel, 'soft0', wrong), advised('INVALID_OPTION', remedy));
  }
  const replay = (capture: Uint8Array) => kernel.addNic({ name: 'x', wire: { kind: 'replay', capture } });
  await assert.rejects(replay(new Uint8Array(0)), advised('CAPTURE_CORRUPT', /record or copy/));
  await assert.rejects(replay(new Uint8Array(99)), advised('CAPTURE_UNSUPPORTED', /editcap/));
});
