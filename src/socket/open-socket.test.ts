import assert from 'node:assert/strict';
import { test } from 'node:test';
import { udpPacket } from '../../test/support/packets.js';
import { poolIsWhole } from '../../test/support/pool.js';
import { openSmall, sendAll, softKernel } from '../../test/support/soft.js';
import { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import type { InterfaceInfo, Kernel, Mode } from '../kernel/contract.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import type { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { LADDER, type OpenSocketOptions, openSocket } from './open-socket.js';
import type { RefusedMode } from './packet-socket.js';

async function kernelWith(queues = 1): Promise<SoftKernel> {
  const kernel = softKernel();
  await kernel.addNic({ name: 'soft0', queues });
  return kernel;
}

/** The same kernel, whose interfaces claim something else. */
function claiming(kernel: SoftKernel, change: Partial<InterfaceInfo>): Kernel {
  return new Proxy(kernel, {
    get(target, name) {
      if (name === 'interfaces') return async () => (await target.interfaces()).map((info) => ({ ...info, ...change }));
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function refused(code: string, text: RegExp) {
  return (error: unknown) =>
    error instanceof PacketError && error.code === code && text.test(`${error.message} ${error.remedy}`);
}

test('without a mode the best of the ladder is taken, and nothing was refused', async () => {
  await using kernel = await kernelWith();
  await using socket = await openSmall(kernel, 'soft0');
  assert.deepEqual(socket.mode, { got: 'xdp-zc', refused: [], exclusive: true });
  assert.deepEqual([socket.interface, socket.queue, socket.largestPacket], ['soft0', 0, 1522]);
});

test('every mode of the soft kernel can be required, and says whether it is exclusive', async () => {
  await using kernel = await kernelWith();
  const exclusive: Partial<Record<Mode, boolean>> = {
    v2: false,
    v3: false,
    v4: false,
    'v4-zc': true,
    'xdp-copy': true,
    'xdp-zc': true,
  };
  for (const [mode, expected] of Object.entries(exclusive) as [Mode, boolean][]) {
    await using socket = await openSmall(kernel, 'soft0', { mode });
    assert.deepEqual(socket.mode, { got: mode, refused: [], exclusive: expected });
  }
});

test('a required mode that cannot be had fails with its own reason', async () => {
  await using kernel = await kernelWith();
  await assert.rejects(
    openSmall(kernel, 'soft0', { mode: 'xdp-generic' }),
    refused('MODE_UNSUPPORTED', /soft0.*xdp-generic.*modes there/),
  );
  await using _owner = await openSmall(kernel, 'soft0', { mode: 'v4-zc' });
  await assert.rejects(openSmall(kernel, 'soft0', { mode: 'v4-zc' }), refused('QUEUE_BUSY', /close that socket/));
});

test('modes in an order of one’s own: the first that works, and why the others before it did not', async () => {
  await using kernel = await kernelWith();
  await using first = await openSmall(kernel, 'soft0', { mode: ['v4-zc', 'v4'] });
  assert.equal(first.mode.got, 'v4-zc');
  const told: RefusedMode[] = [];
  await using second = await openSmall(kernel, 'soft0', {
    mode: ['xdp-generic', 'v4-zc', 'v4', 'v2'],
    onDowngrade: (reason) => told.push(reason),
  });
  assert.equal(second.mode.got, 'v4');
  assert.deepEqual(
    second.mode.refused.map(({ mode, code }) => [mode, code]),
    [
      ['xdp-generic', 'MODE_UNSUPPORTED'],
      ['v4-zc', 'QUEUE_BUSY'],
    ],
  );
  assert.deepEqual(told, second.mode.refused);
  for (const { why, remedy } of told) assert.ok(why.length > 0 && remedy.length > 0);
});

test('whoever throws on a downgrade gives up, and leaves nothing behind', async () => {
  await using kernel = await kernelWith();
  await using _owner = await openSmall(kernel, 'soft0', { mode: 'xdp-zc' });
  const free = kernel.arena.freeBytes;
  const enough = new Error('zero-copy or nothing');
  await assert.rejects(
    openSmall(kernel, 'soft0', {
      onDowngrade: () => {
        throw enough;
      },
    }),
    enough,
  );
  assert.equal(kernel.arena.freeBytes, free);
});

test('when no mode will do, the error lists every reason, and nothing is left behind', async () => {
  await using kernel = await kernelWith();
  await using _owner = await openSmall(kernel, 'soft0', { mode: 'v4-zc' });
  const free = kernel.arena.freeBytes;
  await assert.rejects(
    openSmall(kernel, 'soft0', { mode: ['xdp-zc', 'v4-zc', 'xdp-generic'] }),
    refused('MODE_REFUSED', /xdp-zc: .*works for another socket.*; v4-zc: .*; xdp-generic: .*close that socket/),
  );
  assert.equal(kernel.arena.freeBytes, free);
});

test('exclusive: true refuses what the stack would see, too; false the opposite', async () => {
  await using kernel = await kernelWith(2);
  await assert.rejects(
    openSmall(kernel, 'soft0', { mode: 'v4', exclusive: true }),
    refused('MODE_REFUSED', /ordinary stack would see/),
  );
  await assert.rejects(
    openSmall(kernel, 'soft0', { mode: 'xdp-copy', queue: 0, exclusive: false }),
    refused('MODE_REFUSED', /would not see/),
  );
  await using shared = await openSmall(kernel, 'soft0', { queue: 0, exclusive: false });
  assert.deepEqual([shared.mode.got, shared.mode.exclusive], ['v3', false]);
  await using alone = await openSmall(kernel, 'soft0', { queue: 0, exclusive: true });
  assert.deepEqual([alone.mode.got, alone.mode.exclusive], ['xdp-zc', true]);
  // Rather none at all than a fallback that means something else.
  await assert.rejects(
    openSmall(kernel, 'soft0', { queue: 0, exclusive: true }),
    refused('MODE_REFUSED', /v3: in mode v3/),
  );
});

test('a driver without zero-copy operations is told apart from a mode that is not there', async () => {
  await using kernel = await kernelWith();
  const poor = claiming(kernel, { modes: ['xdp-copy', 'v3', 'v2'], zeroCopy: false });
  const options = { kernel: poor, interface: 'soft0', receive: 'all', buffer: { frames: 64 }, ring: 16 } as const;
  await using socket = await openSocket(options);
  assert.equal(socket.mode.got, 'xdp-copy');
  assert.equal(socket.mode.refused[0]!.code, 'NO_DRIVER_ZEROCOPY');
  await assert.rejects(openSocket({ ...options, mode: 'v4-zc' }), refused('NO_DRIVER_ZEROCOPY', /softnic/));
  await assert.rejects(openSocket({ ...options, mode: 'v4' }), refused('MODE_UNSUPPORTED', /v4/));
});

test('wrong options are named, whatever the mode, and leave nothing behind', async () => {
  await using kernel = await kernelWith();
  const free = kernel.arena.freeBytes;
  const wrong: [Partial<OpenSocketOptions> | object, RegExp][] = [
    [{ receive: undefined }, /receive: undefined is neither 'all' nor 'none'/],
    [{ receive: 'some' }, /receive: "some"/],
    [{ receive: [] }, /an empty list/],
    [{ receive: [{ colour: 'red' }] }, /receive\[0\].colour/],
    [{ mode: 'v5' }, /mode: v5 is not one of best, /],
    [{ mode: [] }, /mode: \[\] is neither a mode nor a list of some/],
    [{ mode: ['v4', 'toString'] }, /mode: toString/],
    [{ ring: 7 }, /ring: 7.*8 to 65536/],
    [{ ring: 100 }, /ring: 100 is not a power of two/],
    [{ ring: '64' }, /ring: 64/],
    [{ queue: -1 }, /queue: -1/],
    [{ queue: 0.5 }, /queue: 0.5/],
    [{ mode: 'v3', blockSize: 1000 }, /blockSize: 1000/],
    [{ mode: 'v3', retireMilliseconds: 0 }, /retireMilliseconds: 0/],
    [{ mode: 'v2', ringFrameSize: 100 }, /ringFrameSize: 100/],
    [{ buffer: { frames: 3 } }, /frames: 3/],
    [{ buffer: PacketBuffer.create({ arena: Arena.create(2 ** 20), frames: 64 }) }, /another arena/],
  ];
  for (const [options, text] of wrong) {
    await assert.rejects(openSmall(kernel, 'soft0', options), refused('INVALID_OPTION', text), String(text));
    assert.equal(kernel.arena.freeBytes, free, `${text} leaves memory behind`);
  }
});

test('what only Linux sockets are asked for is taken where it means nothing, and refused where it would be missed', async () => {
  await using kernel = await kernelWith();
  for (const on of [true, false]) {
    const options = { promiscuous: on, bypassQueueing: on, ignoreOutgoing: on } as const;
    await using socket = await openSmall(kernel, 'soft0', options);
    assert.equal(socket.mode.got, 'xdp-zc');
  }
  for (const option of ['promiscuous', 'bypassQueueing', 'ignoreOutgoing']) {
    await assert.rejects(
      openSmall(kernel, 'soft0', { [option]: 'yes' }),
      refused('INVALID_OPTION', new RegExp(`${option}: yes is not true or false`)),
    );
  }
  const fanout = { group: 1, type: 'hash' } as const;
  await assert.rejects(
    openSmall(kernel, 'soft0', { mode: 'v3', fanout }),
    refused('MODE_UNSUPPORTED', /soft kernel has no groups.*queue: 0, 1/),
  );
});

test('an interface that is not there: which there are', async () => {
  await using kernel = await kernelWith();
  await assert.rejects(openSmall(kernel, 'eth7'), refused('NO_INTERFACE', /eth7.*it has soft0/));
  await using empty = softKernel();
  await assert.rejects(openSmall(empty, 'eth7'), refused('NO_INTERFACE', /eth7/));
});

test('an arena that is too small is an error of its own, and gives back what was taken', async () => {
  await using kernel = await kernelWith();
  const free = kernel.arena.freeBytes;
  await assert.rejects(openSmall(kernel, 'soft0', { buffer: { frames: 2 ** 20 } }), { code: 'ARENA_EXHAUSTED' });
  for (const mode of LADDER.filter((one) => one !== 'xdp-generic')) {
    const hog = kernel.arena.allocate(kernel.arena.freeBytes - 2 ** 20 - 2 ** 18);
    const left = kernel.arena.freeBytes;
    await assert.rejects(openSmall(kernel, 'soft0', { mode, ring: 65536 }), { code: 'ARENA_EXHAUSTED' }, mode);
    assert.equal(kernel.arena.freeBytes, left, mode);
    kernel.arena.free(hog);
  }
  assert.equal(kernel.arena.freeBytes, free);
});

test('a buffer of one’s own is used as it is, shared, and never closed by a socket', async () => {
  await using kernel = await kernelWith(2);
  const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
  const sockets = await Promise.all([0, 1].map((queue) => openSmall(kernel, 'soft0', { queue, buffer })));
  assert.ok(sockets.every((socket) => socket.buffer === buffer));
  assert.throws(() => buffer.close(), refused('BUFFER_IN_USE', /2 socket/));
  for (const socket of sockets) await socket.close();
  assert.ok(poolIsWhole(buffer));
  buffer.close();
  const free = kernel.arena.freeBytes;
  await assert.rejects(openSmall(kernel, 'soft0', { buffer, queue: 0 }), { code: 'WRONG_STATE' });
  assert.equal(kernel.arena.freeBytes, free, 'a closed buffer is refused before anything is set up');
  await using again = await openSmall(kernel, 'soft0', { queue: 0 });
  assert.equal(again.mode.got, 'xdp-zc');
});

test('a buffer of the socket’s own goes with it', async () => {
  await using kernel = await kernelWith();
  const warm = await openSmall(kernel, 'soft0', { mode: 'v4' });
  sendAll(warm, [udpPacket()]); // the page pool grows once
  await warm.close();
  const free = kernel.arena.freeBytes;
  for (const mode of ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'] as const) {
    const socket = await openSmall(kernel, 'soft0', { mode });
    sendAll(socket, [udpPacket(), udpPacket()]);
    await socket.close();
    await socket.close();
    assert.equal(kernel.arena.freeBytes, free, mode);
  }
});

test('opening and closing again and again leaves nothing behind, refused rungs included', async () => {
  await using kernel = await kernelWith(2);
  await (await openSmall(kernel, 'soft0')).close();
  const free = kernel.arena.freeBytes;
  const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 256 });
  for (let round = 0; round < 20; round++) {
    const sockets = await Promise.all([
      openSmall(kernel, 'soft0', { queue: 0, buffer }),
      openSmall(kernel, 'soft0', { queue: 0, buffer }),
      openSmall(kernel, 'soft0', { buffer }),
      openSmall(kernel, 'soft0', { buffer, exclusive: false }),
    ]);
    for (const socket of sockets) await socket.close();
    assert.ok(poolIsWhole(buffer));
  }
  buffer.close();
  assert.equal(kernel.arena.freeBytes, free);
});
