import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PACKET_CHECKSUM_NOT_READY, PacketBatch } from '../../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import { readNumberedFrame } from '../../support/frames.js';
import { receivePackets } from '../../support/numbered-traffic.js';
import { numberOf, udpPacket } from '../../support/packets.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const kernel = new LinuxKernel();
const { interface: name } = pair.near;
const MODES = ['v2', 'v3'] as const;
const UDP_PORT = 7777;

const open = (options: Partial<OpenSocketOptions>): Promise<PacketSocket> =>
  openSocket({ kernel, interface: name, receive: 'all', ring: 1024, buffer: { frames: 64 }, ...options });

pair.run(pair.near, 'ip', 'address', 'add', '10.9.0.1/24', 'dev', name);
pair.run(pair.far, 'ip', 'address', 'add', '10.9.0.2/24', 'dev', pair.far.interface);
// So that nobody asks for addresses while tests count packets.
pair.run(pair.near, 'ip', 'neigh', 'add', '10.9.0.2', 'lladdr', pair.far.mac, 'dev', name);
pair.run(pair.far, 'ip', 'neigh', 'add', '10.9.0.1', 'lladdr', pair.near.mac, 'dev', pair.far.interface);

/** Sends a datagram to the near end's stack, and resolves with the answer that comes back. */
const ask = (text: string) =>
  pair.startCommand(
    pair.far,
    process.execPath,
    '-e',
    `const s = require('dgram').createSocket('udp4');
     s.on('message', (answer) => { console.log(String(answer)); s.close(); });
     s.send(${JSON.stringify(text)}, ${UDP_PORT}, '10.9.0.1');
     setTimeout(() => process.exit(1), 5000).unref();`,
  ).result;

/** Sends a datagram to the near end's stack, where nobody listens. */
const tell = (text: string) =>
  pair.startCommand(
    pair.far,
    process.execPath,
    '-e',
    `const s = require('dgram').createSocket('udp4'); s.send(${JSON.stringify(text)}, 9, '10.9.0.1', () => s.close());`,
  ).result;

for (const mode of MODES) {
  test(`${mode}: the stack sees the packets, too, and answers; its answers are heard where asked for`, async () => {
    const echo = createSocket('udp4');
    await new Promise<void>((resolve) => echo.bind(UDP_PORT, resolve));
    echo.on('message', (text, { port, address }) => echo.send(`${text}!`, port, address));
    try {
      await using quiet = await open({ mode });
      await using loud = await open({ mode, ignoreOutgoing: false });
      const { stdout } = await ask('hello');
      assert.equal(stdout.trim(), 'hello!');
      const texts = async (socket: PacketSocket): Promise<string[]> => {
        const batch = new PacketBatch(64);
        const found: string[] = [];
        while (await socket.wait({ timeoutMilliseconds: 50 })) {
          socket.receive(batch);
          for (let i = 0; i < batch.length; i++) {
            const packet = socket.bytes.slice(batch.offset[i]!, batch.offset[i]! + batch.size[i]!);
            const text = /hello!?/.exec(Buffer.from(packet).toString('latin1'));
            if (text !== null) found.push(text[0]);
          }
          socket.release(batch);
        }
        return found;
      };
      assert.deepEqual(await texts(quiet), ['hello']);
      assert.deepEqual(await texts(loud), ['hello', 'hello!']);
    } finally {
      echo.close();
    }
  });

  test(`${mode}: sent packets pass local taps by, unless they are to be queued`, async () => {
    await using tap = await open({ mode, ignoreOutgoing: false });
    for (const bypassQueueing of [true, false]) {
      await using socket = await open({ mode, receive: 'none', bypassQueueing });
      const batch = new PacketBatch(1);
      assert.equal(socket.allocate(batch), 1);
      const packet = udpPacket({ number: 9 });
      socket.bytes.set(packet, batch.offset[0]!);
      batch.size[0] = packet.length;
      assert.equal(socket.send(batch), 1);
      if (bypassQueueing) assert.equal(await tap.wait({ timeoutMilliseconds: 50 }), false);
      else assert.deepEqual(await receivePackets(tap, 1), [packet]);
    }
  });
}

for (const mode of MODES) {
  test(`${mode}: packets of a stack that leaves checksums to the device are marked`, async () => {
    await using socket = await open({ mode });
    for (const offload of ['on', 'off'] as const) {
      pair.run(pair.far, 'ethtool', '-K', pair.far.interface, 'tx', offload);
      const told = tell('marked');
      const flags: number[] = [];
      const batch = new PacketBatch(64);
      while (flags.length === 0 && (await socket.wait({ timeoutMilliseconds: 5000 }))) {
        socket.receive(batch);
        for (let i = 0; i < batch.length; i++) {
          const packet = socket.bytes.slice(batch.offset[i]!, batch.offset[i]! + batch.size[i]!);
          if (Buffer.from(packet).includes('marked')) flags.push(batch.flags[i]!);
        }
        socket.release(batch);
      }
      assert.deepEqual(flags, [offload === 'on' ? PACKET_CHECKSUM_NOT_READY : 0]);
      await told;
    }
    pair.run(pair.far, 'ethtool', '-K', pair.far.interface, 'tx', 'on');
  });
}

test('iterating says which packets have their checksum still to come', async () => {
  await using socket = await open({ mode: 'v3' });
  const told = tell('iterated');
  for await (const { data, checksumReady } of socket) {
    if (!Buffer.from(data).includes('iterated')) continue;
    assert.equal(checksumReady, false);
    break;
  }
  await told;
});

const promiscuity = (): number =>
  (JSON.parse(pair.run(pair.near, 'ip', '-d', '-j', 'link', 'show', name)) as { promiscuity: number }[])[0]!
    .promiscuity;

for (const mode of [...MODES, 'xdp-copy'] as const) {
  test(`${mode}: the interface is promiscuous while a socket receives, unless told otherwise`, async () => {
    const queue = mode === 'xdp-copy' ? { queue: 0 } : {};
    assert.equal(promiscuity(), 0);
    const first = await open({ mode, ...queue });
    assert.equal(promiscuity(), 1);
    await first.steer('none');
    assert.equal(promiscuity(), 0);
    await first.steer('all');
    assert.equal(promiscuity(), 1);
    await first.close();
    assert.equal(promiscuity(), 0);
    for (const options of [
      { promiscuous: false },
      { receive: 'none' },
      { receive: 'none', promiscuous: true },
    ] as const) {
      await using socket = await open({ mode, ...queue, ...options });
      assert.equal(socket.mode.got, mode);
      assert.equal(promiscuity(), 0);
    }
    const killed = pair.start(pair.near, program('rxdrop'), name, mode, 1);
    await killed.line('ready');
    assert.equal(promiscuity(), 1);
    killed.process.kill('SIGKILL');
    await killed.result;
    assert.equal(promiscuity(), 0);
  });
}

test('steering turns receiving off and on while the socket stays', async () => {
  for (const mode of MODES) {
    await using socket = await open({ mode });
    const send = () => pair.start(pair.far, program('txpush'), pair.far.interface, 'v2', 5, 60).result;
    await socket.steer('none');
    await send();
    assert.equal(await socket.wait({ timeoutMilliseconds: 50 }), false);
    await socket.steer('all');
    await send();
    assert.equal((await receivePackets(socket, 5)).length, 5);
  }
});

test('rules keep other packets away, from the first on, and are changed while the socket stays', async () => {
  const flow = (destinationPort: number, number: number): Uint8Array =>
    udpPacket({ number, source: '10.9.0.2', destination: '10.9.0.77', destinationPort });
  const packets = [flow(53, 1), flow(54, 2), flow(53, 3)];
  const texts = packets.map((packet) => Buffer.from(packet).toString('hex'));
  const send = () => pair.start(pair.far, program('send-packets'), pair.far.interface, ...texts).result;
  for (const mode of MODES) {
    await using socket = await open({ mode, receive: [{ protocol: 'udp', port: 53 }] });
    await send();
    assert.deepEqual(await drain([socket]), [[packets[0], packets[2]]]);
    await socket.steer([{ protocol: 'udp', port: 54 }]);
    await send();
    assert.deepEqual(await drain([socket]), [[packets[1]]]);
  }
});

test('filter expressions see the VLAN tag that Linux takes out of packets', async () => {
  const plain = udpPacket({ number: 1, source: '10.9.0.2', destination: '10.9.0.77', destinationPort: 53 });
  const tagged = Uint8Array.of(...plain.subarray(0, 12), 0x81, 0x00, 0x00, 0x05, ...plain.subarray(12));
  const texts = [plain, tagged].map((packet) => Buffer.from(packet).toString('hex'));
  const send = () => pair.start(pair.far, program('send-packets'), pair.far.interface, ...texts).result;
  const sizes = async (socket: PacketSocket): Promise<number[]> =>
    (await drain([socket]))[0]!.map((packet) => packet.length);
  for (const mode of MODES) {
    await using socket = await open({ mode, receive: { filter: 'udp port 53' } });
    await send();
    assert.deepEqual(await sizes(socket), [plain.length]);
    await socket.steer({ filter: 'vlan 5 and udp port 53' });
    await send();
    assert.equal((await sizes(socket)).length, 1);
    await socket.steer({ filter: 'vlan 7 or udp port 54' });
    await send();
    assert.deepEqual(await sizes(socket), []);
  }
});

/** Everything that comes to the sockets until nothing has come for a while. */
async function drain(sockets: readonly PacketSocket[]): Promise<Uint8Array[][]> {
  const packets: Uint8Array[][] = sockets.map(() => []);
  const batch = new PacketBatch(64);
  for (let quiet = 0; quiet < 5; quiet++) {
    for (const [i, socket] of sockets.entries()) {
      while (await socket.wait({ timeoutMilliseconds: 10 })) {
        quiet = 0;
        socket.receive(batch);
        for (let k = 0; k < batch.length; k++)
          packets[i]!.push(socket.bytes.slice(batch.offset[k]!, batch.offset[k]! + batch.size[k]!));
        socket.release(batch);
      }
    }
  }
  return packets;
}

for (const mode of MODES) {
  test(`${mode}: a fanout group takes turns, and each packet goes to one socket`, async () => {
    const fanout = { group: 7, type: 'load-balance' } as const;
    await using first = await open({ mode, fanout });
    await using second = await open({ mode, fanout });
    await using outsider = await open({ mode });
    await pair.start(pair.far, program('txpush'), pair.far.interface, 'v2', 400, 60).result;
    const [one, other, all] = await drain([first, second, outsider]);
    const numbers = [...one!, ...other!].map((packet) => readNumberedFrame(packet, 0, packet.length, 60));
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: 400 }, (_, i) => i),
    );
    assert.deepEqual([one!.length, other!.length, all!.length], [200, 200, 400]);
    const counts = await Promise.all([first, second].map((socket) => socket.statistics()));
    assert.equal(counts[0]!.kernelReceived + counts[1]!.kernelReceived, 400);
    await assert.rejects(first.steer('none'), { code: 'MODE_UNSUPPORTED' });
  });

  test(`${mode}: a fanout group by hash keeps flows together, and goes on with whoever is left`, async () => {
    const fanout = { group: 8, type: 'hash', flags: ['rollover', 'defragment'] } as const;
    await using first = await open({ mode, fanout });
    const second = await open({ mode, fanout });
    const packets = Array.from({ length: 256 }, (_, i) =>
      udpPacket({
        number: i,
        source: '10.9.0.2',
        destination: '10.9.0.77',
        sourcePort: 1000 + (i % 64),
        destinationPort: 53,
      }),
    );
    const texts = packets.map((packet) => Buffer.from(packet).toString('hex'));
    const send = () => pair.start(pair.far, program('send-packets'), pair.far.interface, ...texts).result;
    await send();
    const [one, other] = await drain([first, second]);
    assert.ok(one!.length > 0 && other!.length > 0, `${one!.length} and ${other!.length}`);
    const flows = (list: Uint8Array[]): Set<number> => new Set(list.map((packet) => numberOf(packet) % 64));
    assert.deepEqual(
      [...flows(one!)].filter((flow) => flows(other!).has(flow)),
      [],
    );
    assert.deepEqual(
      [...one!, ...other!].map((packet) => numberOf(packet)).sort((a, b) => a - b),
      packets.map((_, i) => i),
    );
    await second.close();
    await send();
    assert.equal((await drain([first]))[0]!.length, 256);
  });
}

for (const mode of MODES) {
  test(`${mode}: who joins a group under fire hears nothing of what is the others'`, async () => {
    const fanout = { group: 10, type: 'load-balance' } as const;
    await using first = await open({ mode, fanout, ring: 4096 });
    const sender = pair.start(pair.far, program('txpush'), pair.far.interface, 'v2', 100_000, 60);
    let ended = false;
    void sender.result.finally(() => {
      ended = true;
    });
    const seen = new Set<number>();
    const twice: number[] = [];
    const batch = new PacketBatch(256);
    const take = (socket: PacketSocket): void => {
      while (socket.receive(batch) > 0) {
        for (let i = 0; i < batch.length; i++) {
          const number = readNumberedFrame(socket.bytes, batch.offset[i]!, batch.size[i]!, 60);
          if (seen.has(number)) twice.push(number);
          else seen.add(number);
        }
        socket.release(batch);
      }
    };
    let joined = 0;
    while (!ended && joined < 500) {
      const second = await open({ mode, fanout, ring: 64 });
      joined++;
      take(second);
      take(first);
      await second.close();
      take(first);
    }
    assert.equal((await sender.result).status, 0);
    assert.ok(joined > 5 && seen.size > 1000, `${joined} sockets joined, ${seen.size} packets came`);
    assert.deepEqual(twice, []);
  });
}

test('what a fanout group cannot be', async () => {
  const group = { group: 9, type: 'cpu' } as const;
  await using _ = await open({ mode: 'v3', fanout: group });
  const wrong: [unknown, RegExp][] = [
    [{ group: 9, type: 'hash' }, /group 9.*other flags/],
    [{ group: 9, type: 'cpu', flags: ['rollover'] }, /group 9.*other flags/],
    [{ group: 65536, type: 'cpu' }, /fanout.group: 65536 is not a whole number from 0 to 65535/],
    [
      { group: 1, type: 'toString' },
      /fanout.type: toString is not one of hash, load-balance, cpu, rollover, random, queue/,
    ],
    [{ group: 1, type: 'cpu', flags: ['fast'] }, /fanout.flags: fast is not one of rollover, defragment/],
  ];
  for (const [fanout, message] of wrong) {
    await assert.rejects(open({ mode: 'v3', fanout: fanout as never }), { code: 'INVALID_OPTION', message });
  }
  await assert.rejects(open({ mode: 'v3', receive: 'none', fanout: group }), { code: 'INVALID_OPTION' });
  await assert.rejects(open({ mode: 'xdp-copy', queue: 0, fanout: group }), { code: 'MODE_UNSUPPORTED', remedy: /v3/ });
});
