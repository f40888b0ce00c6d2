import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import { readNumberedFrame } from '../../support/frames.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const txpush = fileURLToPath(new URL('../../support/programs/txpush.js', import.meta.url));
const kernel = new LinuxKernel();

/** Numbers of the packets that came, until none has come for a while. */
async function drain(socket: PacketSocket): Promise<number[]> {
  const batch = new PacketBatch(64);
  const numbers: number[] = [];
  while (await socket.wait({ timeoutMilliseconds: 100 })) {
    socket.receive(batch);
    for (let i = 0; i < batch.length; i++)
      numbers.push(readNumberedFrame(socket.bytes, batch.offset[i]!, batch.size[i]!, 60));
    socket.release(batch);
  }
  return numbers;
}

for (const mode of ['v2', 'v3'] as const) {
  test(`${mode}: a fanout group by queue gives each socket the packets of its queues, in order`, async () => {
    const open = (): Promise<PacketSocket> =>
      openSocket({
        ...({ kernel, interface: pair.near.interface, mode, receive: 'all', ring: 1024 } as const),
        fanout: { group: 3, type: 'queue' },
      });
    await using first = await open();
    await using second = await open();
    const all = Array.from({ length: 200 }, (_, i) => i);
    const came: number[][][] = [];
    for (const queue of [0, 1]) {
      const sender = pair.start(pair.far, txpush, pair.far.interface, 'xdp-copy', all.length, 60, queue);
      assert.equal((await sender.result).status, 0);
      came.push([await drain(first), await drain(second)]);
    }
    // Which socket gets which queue is the kernel's to say.
    const [ofQueue0, ofQueue1] = came;
    assert.deepEqual(
      [...ofQueue0!].sort((a, b) => a.length - b.length),
      [[], all],
    );
    assert.deepEqual(ofQueue1, [...ofQueue0!].reverse());
  });
}
