import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PACKET_CONTINUES, PacketBatch } from '../../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import { receivePackets, sentByKernel } from '../../support/numbered-traffic.js';
import { udpPacket } from '../../support/packets.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const kernel = new LinuxKernel();
const { interface: name } = pair.near;
const LONGEST = 9014;
const LENGTHS = [60, 1514, 3000, 4096, 6001, LONGEST];
const FRAME = 2048;

const open = (options: Partial<OpenSocketOptions>): Promise<PacketSocket> =>
  openSocket({
    ...({ kernel, interface: name, segments: true, buffer: { frames: 512, frameSize: FRAME }, ring: 128 } as const),
    ...({ mode: 'xdp-copy', receive: [{ protocol: 'udp', port: 53 }] } as const),
    ...options,
  });

/** Packets of every length to port 53, and to another one, in turn. */
const packets = LENGTHS.flatMap((length, i) =>
  [53, 54].map((destinationPort) => udpPacket({ length, number: i, destinationPort })),
);
const wanted = packets.filter((_, i) => i % 2 === 0);
const unwanted = packets.filter((_, i) => i % 2 === 1);

async function fromFarEnd(): Promise<void> {
  const texts = packets.map((packet) => Buffer.from(packet).toString('hex'));
  const { status, stderr } = await pair.start(pair.far, program('send-packets'), pair.far.interface, ...texts).result;
  assert.equal(status, 0, stderr);
}

/** Receives packets and puts their frames together. */
async function receiveWhole(socket: PacketSocket, count: number): Promise<{ frames: number[]; packets: Uint8Array[] }> {
  const batch = new PacketBatch(64);
  const whole: Uint8Array[] = [];
  const frames: number[] = [];
  while (whole.length < count) {
    if (socket.receive(batch) === 0) {
      assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }), `${whole.length} of ${count} packets came`);
      continue;
    }
    for (let i = 0, parts: Uint8Array[] = []; i < batch.length; i++) {
      parts.push(socket.bytes.slice(batch.offset[i]!, batch.offset[i]! + batch.size[i]!));
      if ((batch.flags[i]! & PACKET_CONTINUES) !== 0) continue;
      frames.push(parts.length);
      whole.push(new Uint8Array(Buffer.concat(parts)));
      parts = [];
    }
    socket.release(batch);
  }
  return { frames, packets: whole };
}

for (const mode of ['xdp-copy', 'xdp-generic'] as const) {
  test(`${mode}: rules pick packets of several frames, byte for byte; the others go through the stack whole`, async () => {
    await using socket = await open({ mode });
    assert.equal(socket.largestPacket, LONGEST);
    await using stack = await openSocket({
      ...({ kernel, interface: name, mode: 'v2', receive: 'all', ring: 64, ringFrameSize: 16384 } as const),
    });
    for (let round = 1; round <= 3; round++) {
      await fromFarEnd();
      const { frames, packets: received } = await receiveWhole(socket, wanted.length);
      assert.deepEqual(received, wanted);
      assert.ok(frames[0] === 1 && frames.at(-1)! >= Math.ceil(LONGEST / FRAME), `frames: ${frames.join(' ')}`);
      assert.deepEqual(await receivePackets(stack, unwanted.length), unwanted);
      const statistics = await socket.statistics();
      assert.deepEqual([statistics.received, statistics.drops], [round * wanted.length, {}]);
    }
  });
}

test('what rules have picked is sent back in several frames, without a copy', async () => {
  const far = pair.start(pair.far, program('dump'), pair.far.interface, 'v3', wanted.length);
  await far.line('ready');
  await using socket = await open({});
  await fromFarEnd();
  const batch = new PacketBatch(64);
  let sent = 0;
  for (let looks = 0; sent < wanted.length && looks < 100; looks++) {
    if (socket.receive(batch) === 0) assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }));
    for (let i = 0; i < batch.length; i++) if ((batch.flags[i]! & PACKET_CONTINUES) === 0) sent++;
    while (batch.length > 0) {
      if (socket.send(batch) === 0) assert.ok(await socket.wait({ for: 'send', timeoutMilliseconds: 2000 }));
    }
  }
  await sentByKernel(socket, wanted.length);
  const { stdout } = await far.result;
  const texts = wanted.map((packet) => Buffer.from(packet).toString('hex'));
  assert.deepEqual(stdout.trim().split('\n').slice(1), texts);
  const { copied, unsendable, sent: counted } = await socket.statistics();
  assert.deepEqual([copied, unsendable, counted], [0, 0, wanted.length]);
});
