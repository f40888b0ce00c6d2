import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const { interface: name } = pair.near;
const kernel = new LinuxKernel({ arena: Arena.create(2 ** 25) });

test('namespaces deleted under open sockets: waits end with an error, nothing spins, sockets can be closed', async () => {
  const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 256 });
  const options = { kernel, interface: name, mode: 'xdp-copy', receive: 'all', ring: 64, buffer } as const;
  const socket = await openSocket(options);
  const batch = new PacketBatch(8);
  // Ours stays for as long as this process is in it, without a name; the other one goes, and with it the pair.
  execFileSync('ip', ['netns', 'del', pair.near.namespace]);
  assert.equal(await socket.wait({ timeoutMilliseconds: 20 }), false);
  const waiting = assert.rejects(socket.wait(), { code: 'NO_INTERFACE', errno: 100 });
  const iteration = assert.rejects(
    (async () => {
      for await (const _ of socket) assert.fail('a packet');
    })(),
    { code: 'NO_INTERFACE' },
  );
  const before = process.cpuUsage();
  execFileSync('ip', ['netns', 'del', pair.far.namespace]);
  await waiting;
  await iteration;
  await assert.rejects(socket.wait({ strategy: 'hybrid' }), { code: 'NO_INTERFACE' });
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 2_000_000, `took ${user + system} µs of CPU time`);
  // Sending into nothing is not an error of the data path: the frames stay in the ring, and come back at the end.
  assert.equal(socket.allocate(batch), 8);
  batch.size.fill(60);
  socket.send(batch);
  assert.equal(socket.receive(new PacketBatch(8)), 0);
  await assert.rejects(openSocket(options), { code: 'NO_INTERFACE' });
  socket.release(batch);
  await socket.close();
  assert.equal(buffer.free('receive') + buffer.free('send'), 256);
});
