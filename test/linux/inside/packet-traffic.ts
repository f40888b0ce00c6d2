import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openCapture } from '../../../src/capture-file/open-capture.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import { readNumberedFrame, writeNumberedFrame } from '../../support/frames.js';
import { receiveNumbered, receivePackets, sendNumbered, sendPackets } from '../../support/numbered-traffic.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const kernel = new LinuxKernel();
const { interface: name } = pair.near;
const MODES = ['v2', 'v3'] as const;

const open = (options: Partial<OpenSocketOptions>): Promise<PacketSocket> =>
  openSocket({ kernel, interface: name, receive: 'all', ring: 2048, buffer: { frames: 1024 }, ...options });

/** Hands packets to the near end as they would come from the wire: sent at the far end, each given in hexadecimal. */
async function fromFarEnd(packets: readonly Uint8Array[]): Promise<void> {
  const texts = packets.map((packet) => Buffer.from(packet).toString('hex'));
  const { status, stderr } = await pair.start(pair.far, program('send-packets'), pair.far.interface, ...texts).result;
  assert.equal(status, 0, stderr);
}

function numbered(number: number, size: number): Uint8Array {
  const packet = new Uint8Array(size);
  writeNumberedFrame(packet, 0, size, number);
  return packet;
}

for (const mode of MODES) {
  for (const size of [60, 1514]) {
    test(`${mode}: receives packets of ${size} bytes, whole and in order`, async () => {
      await using socket = await open({ mode });
      assert.deepEqual(socket.mode, { got: mode, refused: [], exclusive: false });
      assert.deepEqual([socket.queue, socket.largestPacket], [undefined, 1514]);
      const sender = pair.start(pair.far, program('txpush'), pair.far.interface, 'xdp-copy', 1500, size);
      await receiveNumbered(socket, 1500, size);
      assert.equal((await sender.result).status, 0);
      const { kernelReceived, kernelSent, drops } = await socket.statistics();
      assert.deepEqual([kernelReceived, kernelSent, drops], [1500, 0, {}]);
    });

    test(`${mode}: sends packets of ${size} bytes, whole and in order`, async () => {
      const receiver = pair.start(pair.far, program('rxdrop'), pair.far.interface, 'xdp-copy', 1500, size);
      await receiver.line('ready');
      await using socket = await open({ mode, receive: 'none' });
      await sendNumbered(socket, 1500, size);
      const { kernelReceived, kernelSent, drops } = await socket.statistics();
      assert.deepEqual([kernelReceived, kernelSent, drops], [0, 1500, {}]);
      const { stdout } = await receiver.result;
      const { received, good, inOrder } = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
      assert.deepEqual([received, good, inOrder], [1500, 1500, 1500]);
    });
  }

  test(`${mode}: what is sent is what tcpdump sees at the other end, byte for byte`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tp4-capture-'));
    try {
      const file = join(directory, 'sent.pcap');
      const options = ['-i', pair.far.interface, '--immediate-mode', '-s', '2048', '-U', '-c', '40', '-w', file];
      const capture = pair.startCommand(pair.far, 'tcpdump', ...options);
      await new Promise<void>((resolve) => {
        let text = '';
        capture.process.stderr!.on('data', (part: string) => {
          text += part;
          if (text.includes('listening on')) resolve();
        });
      });
      const packets = Array.from({ length: 40 }, (_, i) => numbered(i, [60, 1514, 61, 333][i % 4]!));
      await using socket = await open({ mode, receive: 'none' });
      await sendPackets(socket, packets);
      const tooLate = setTimeout(() => capture.process.kill(), 10_000);
      const { status, stderr } = await capture.result;
      clearTimeout(tooLate);
      assert.equal(status, 0, stderr);
      const captured = openCapture(readFileSync(file));
      const seen: Uint8Array[] = [];
      while (captured.next()) {
        const { offset, length } = captured.packet;
        seen.push(Uint8Array.from(captured.bytes.subarray(offset, offset + length)));
      }
      assert.deepEqual(seen, packets);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test(`${mode}: VLAN tags, which the kernel takes out, are where they were on the wire`, async () => {
    const tag = (type: number, tci: number): number[] => [type >> 8, type & 0xff, tci >> 8, tci & 0xff];
    const tagged = (number: number, size: number, ...tags: number[][]): Uint8Array => {
      const packet = numbered(number, size);
      return Uint8Array.from([...packet.subarray(0, 12), ...tags.flat(), ...packet.subarray(12)]);
    };
    const packets = [
      tagged(1, 60, tag(0x8100, 42)),
      tagged(2, 1510, tag(0x8100, 0xefff)), // priority 7, identifier 4095
      tagged(3, 60, tag(0x88a8, 7), tag(0x8100, 8)), // a provider's tag in front of a customer's
      tagged(4, 60, tag(0x8100, 0)), // a priority tag of identifier and priority 0
      numbered(5, 60),
    ];
    for (const headroom of [0, 200]) {
      await using socket = await open({ mode, buffer: { frames: 1024, headroom } });
      const received = receivePackets(socket, packets.length);
      await fromFarEnd(packets);
      assert.deepEqual(await received, packets);
    }
  });

  test(`${mode}: headroom in front of received packets is free to write to`, async () => {
    await using socket = await open({ mode, buffer: { frames: 1024, headroom: 128 } });
    await fromFarEnd([numbered(0, 60), numbered(1, 61), numbered(2, 62)]);
    const batch = new PacketBatch(8);
    let count = 0;
    while (count < 3) {
      assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }));
      const got = socket.receive(batch);
      for (let i = 0; i < got; i++) socket.bytes.fill(0xee, batch.offset[i]! - 128, batch.offset[i]!);
      for (let i = 0; i < got; i++, count++)
        assert.equal(readNumberedFrame(socket.bytes, batch.offset[i]!, batch.size[i]!, 60 + count), count);
      socket.release(batch);
    }
  });

  test(`${mode}: packets held for long stay as they are, and those behind them still come`, async () => {
    await using socket = await open({ mode, ring: 128, blockSize: 8192, buffer: { frames: 1024 } });
    const held: PacketBatch[] = [];
    for (let round = 0; round < 5; round++) {
      await fromFarEnd(Array.from({ length: 25 }, (_, i) => numbered(round * 25 + i, 1000 + i)));
      for (let count = 0; count < 25; ) {
        const batch = new PacketBatch(25);
        assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }));
        count += socket.receive(batch);
        held.push(batch);
      }
    }
    let next = 0;
    for (const batch of held) {
      for (let i = 0; i < batch.length; i++) {
        const size = 1000 + (next % 25);
        assert.equal(readNumberedFrame(socket.bytes, batch.offset[i]!, batch.size[i]!, size), next++);
      }
    }
    assert.equal(next, 125);
    const { copiedOut, drops } = await socket.statistics();
    assert.ok(copiedOut > 0, 'more than half of the ring was held');
    assert.deepEqual(drops, {});
    for (const batch of held.reverse()) socket.release(batch);
    await fromFarEnd([numbered(0, 60)]);
    await receiveNumbered(socket, 1, 60);
  });

  test(`${mode}: packets are forwarded from one socket to another`, async () => {
    await using from = await open({ mode });
    await using to = await open({ mode: mode === 'v3' ? 'v2' : 'v3', receive: 'none' });
    const far = pair.start(pair.far, program('ping'), pair.far.interface, 500, 1514);
    const batch = new PacketBatch(64);
    for (let forwarded = 0; forwarded < 500; ) {
      if (from.receive(batch) === 0) assert.ok(await from.wait({ timeoutMilliseconds: 5000 }), `${forwarded} came`);
      while (batch.length > 0) {
        const taken = to.send(batch);
        forwarded += taken;
        if (taken === 0) assert.ok(await to.wait({ for: 'send', timeoutMilliseconds: 2000 }));
      }
    }
    const { stdout, stderr } = await far.result;
    assert.equal(stderr, '');
    const { received, good } = JSON.parse(stdout);
    assert.deepEqual([received, good], [500, 500]);
    assert.equal((await to.statistics()).copied, 500);
  });
}

/** Packets that the pair has handed to the near end. Beyond its own queue of 256 veth drops, and counts, ahead of it. */
function offeredPackets(): number {
  const counters = pair.run(pair.near, 'ethtool', '-S', name);
  return Number(/rx_queue_0_xdp_packets: (\d+)/.exec(counters)?.[1]);
}

for (const mode of MODES) {
  test(`${mode}: packets offered are packets received and dropped, at a rate that overruns the receiver`, async () => {
    pair.run(pair.near, 'ethtool', '-K', name, 'gro', 'on'); // which lets veth receive live frames
    const count = 400_000;
    const offeredBefore = offeredPackets();
    await using socket = await open({ mode, ring: 64, blockSize: 4096, buffer: { frames: 256 } });
    const sender = pair.start(pair.far, program('live-frames'), pair.far.interface, count, 60);
    let done = false;
    const ended = sender.result.finally(() => {
      done = true;
    });
    const batch = new PacketBatch(64);
    let received = 0;
    let offered = 0;
    for (let quiet = 0; quiet < 3; ) {
      if (socket.receive(batch) > 0) {
        received += batch.length;
        socket.release(batch);
      } else if (!(await socket.wait({ timeoutMilliseconds: 20 })) && done) {
        // The kernel may still have packets of the pair's queue to look at.
        const now = offeredPackets() - offeredBefore;
        quiet = now === offered ? quiet + 1 : 0;
        offered = now;
      }
    }
    assert.equal((await ended).status, 0);
    const { kernelReceived, drops } = await socket.statistics();
    assert.deepEqual(await socket.statistics().then((again) => [again.kernelReceived, again.drops]), [
      kernelReceived,
      drops,
    ]);
    assert.equal(kernelReceived, received);
    const lost = drops['receive-ring-full'] ?? 0;
    assert.ok(received > 0 && lost > 0 && offered <= count, `${received} received, ${lost} lost, ${offered} offered`);
    assert.equal(received + lost, offered);
    assert.deepEqual(Object.keys(drops), ['receive-ring-full']);
  });
}
