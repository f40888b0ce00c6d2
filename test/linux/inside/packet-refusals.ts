import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import type { BindRequest } from '../../../src/kernel/contract.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { PACKET_TRUNCATED, PacketBatch } from '../../../src/ring/packet-batch.js';
import { V3Rings } from '../../../src/ring/v3/user.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import type { FlowRule } from '../../../src/steering/rules.js';
import { receivePackets } from '../../support/numbered-traffic.js';
import { udpPacket } from '../../support/packets.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const arena = Arena.create(2 ** 26);
const kernel = new LinuxKernel({ arena });
const buffer = PacketBuffer.create({ arena, frames: 64 });
const { interface: name } = pair.near;
const MODES = ['v2', 'v3'] as const;

const open = (options: Partial<OpenSocketOptions>): Promise<PacketSocket> =>
  openSocket({ kernel, interface: name, mode: 'v3', receive: 'all', ring: 256, buffer, ...options });
const descriptors = (): number => readdirSync('/proc/self/fd').length;

await (await open({})).close(); // loads what stays loaded

/** The call must fail so, and leave nothing behind: neither pages of the arena nor a descriptor. */
async function refused(options: Partial<OpenSocketOptions>, error: object): Promise<void> {
  const before = [arena.freeBytes, descriptors()];
  await assert.rejects(open(options), error);
  assert.deepEqual([arena.freeBytes, descriptors()], before);
}

for (const mode of MODES) {
  test(`${mode}: what is not there, or not possible`, async () => {
    await refused({ mode, interface: 'tp4none' }, { code: 'NO_INTERFACE' });
    await refused({ mode, queue: 0 }, { code: 'NO_QUEUE', message: /all queues/, remedy: /type: 'queue'/ });
    await refused({ mode, segments: true }, { code: 'MODE_UNSUPPORTED', message: /several frames/ });
    await refused({ mode, exclusive: true }, { code: 'MODE_REFUSED', message: /stack would see/ });
    await refused({ mode, promiscuous: 1 as never }, { code: 'INVALID_OPTION', message: /promiscuous: 1 is not/ });
    await refused({ mode, bypassQueueing: 'no' as never }, { code: 'INVALID_OPTION', message: /bypassQueueing: no/ });
    await refused({ mode, ignoreOutgoing: null as never }, { code: 'INVALID_OPTION', message: /ignoreOutgoing: null/ });
    await refused({ mode, ring: 65536, ringFrameSize: 65536 }, { code: 'ARENA_EXHAUSTED', message: /rings take/ });
  });

  test(`${mode}: an interface that is down`, async () => {
    pair.run(pair.near, 'ip', 'link', 'set', name, 'down');
    try {
      await refused(
        { mode },
        { code: 'NO_INTERFACE', errno: 100, message: /is down/, remedy: `ip link set dev ${name} up` },
      );
    } finally {
      pair.run(pair.near, 'ip', 'link', 'set', name, 'up');
    }
  });

  test(`${mode}: without privilege`, async () => {
    const command = `exec setpriv --bounding-set=-all --inh-caps=-all ${process.execPath} ${program('rxdrop')} ${name} ${mode} 1`;
    const { status, stderr } = await pair.startCommand(pair.near, 'sh', '-c', command).result;
    assert.notEqual(status, 0);
    assert.match(stderr, /NO_PRIVILEGE/);
    assert.match(stderr, /CAP_NET_RAW/);
    assert.match(stderr, /EPERM/);
  });
}

for (const mode of MODES) {
  test(`${mode}: more rules than a filter holds`, async () => {
    const rules = (count: number): FlowRule[] =>
      Array.from({ length: count }, (_, i) => ({ protocol: 'udp', port: i + 1 }));
    const error = {
      ...{ code: 'FLOW_TABLE_FULL', message: /come to \d+ instructions.*at most 4096/ },
      remedy: /fewer rules.*AF_XDP mode/,
    };
    await refused({ mode, receive: rules(1000) }, error);
    await using socket = await open({ mode, receive: rules(400) });
    await assert.rejects(socket.steer(rules(1000)), error);
    await assert.rejects(socket.steer(rules(9000)), { code: 'FLOW_TABLE_FULL', message: /9000 rules.*8192 at most/ });
    // It receives what it did before.
    const packets = [400, 401].map((destinationPort) => udpPacket({ number: destinationPort, destinationPort }));
    const texts = packets.map((packet) => Buffer.from(packet).toString('hex'));
    await pair.start(pair.far, program('send-packets'), pair.far.interface, ...texts).result;
    assert.deepEqual(await receivePackets(socket, 1), [packets[0]]);
    assert.equal(await socket.wait({ timeoutMilliseconds: 50 }), false);
  });
}

test('an interface without Ethernet headers, in every mode', async () => {
  pair.run(pair.near, 'ip', 'tuntap', 'add', 'dev', 'tp4tun', 'mode', 'tun');
  pair.run(pair.near, 'ip', 'link', 'set', 'tp4tun', 'up');
  const error = { code: 'NOT_ETHERNET', message: /tp4tun.*no Ethernet header \(bare IP/, remedy: /TAP device/ };
  for (const mode of ['best', 'xdp-copy', 'xdp-generic', ...MODES] as const) {
    await refused({ mode, interface: 'tp4tun' }, error);
    await refused({ mode, interface: 'tp4tun', receive: 'none' }, error);
  }
  // Who uses the kernel contract by itself is told the same.
  const socket = await kernel.socket('v3');
  await socket.createRings({ receive: 4, transmit: 8, frameSize: 2048, blockSize: 16384 });
  await socket.map();
  await assert.rejects(socket.bind({ interface: 'tp4tun', mode: 'v3', receive: 'all', segments: false }), error);
  await socket.close();
  pair.run(pair.near, 'ip', 'tuntap', 'del', 'dev', 'tp4tun', 'mode', 'tun');
});

test('packets longer than a ring frame or a block has room for are cut, and marked as such', async () => {
  pair.run(pair.near, 'ip', 'link', 'set', name, 'mtu', '9000');
  pair.run(pair.far, 'ip', 'link', 'set', pair.far.interface, 'mtu', '9000');
  try {
    for (const { largest, ...options } of [
      { mode: 'v2', ringFrameSize: 2048, largest: 2016 },
      { mode: 'v2', ringFrameSize: 16384, largest: 9014 },
      { mode: 'v3', blockSize: 4096, largest: 2000 },
      { mode: 'v3', blockSize: 16384, largest: 2000 },
    ] as const) {
      await using socket = await open(options);
      assert.equal(socket.largestPacket, largest);
      const packet = new Uint8Array(8000).fill(0xff);
      const sent = pair.start(
        pair.far,
        program('send-packets'),
        pair.far.interface,
        Buffer.from(packet).toString('hex'),
      );
      assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }), (await sent.result).stderr);
      const batch = new PacketBatch(1);
      assert.equal(socket.receive(batch), 1);
      const fits = 'blockSize' in options ? options.blockSize > 8192 : options.ringFrameSize > 8192;
      assert.equal(batch.flags[0], fits ? 0 : PACKET_TRUNCATED);
      assert.equal(fits ? batch.size[0] : batch.originalSize[0], 8000);
      assert.deepEqual(
        socket.bytes.slice(batch.offset[0]!, batch.offset[0]! + batch.size[0]!),
        packet.slice(0, batch.size[0]!),
      );
      socket.release(batch);
    }
  } finally {
    pair.run(pair.near, 'ip', 'link', 'set', name, 'mtu', '1500');
    pair.run(pair.far, 'ip', 'link', 'set', pair.far.interface, 'mtu', '1500');
  }
});

test('frames smaller than a page fill whole blocks', async () => {
  await using socket = await open({ mode: 'v2', ring: 8, ringFrameSize: 256, receive: 'none' });
  const batch = new PacketBatch(64);
  assert.equal(socket.allocate(batch), 16);
});

test('calls out of order and wrong sizes', async () => {
  const bind: BindRequest = { interface: name, mode: 'v3', receive: 'all', segments: false };
  const socket = await kernel.socket('v3');
  const wrongState = { code: 'WRONG_STATE' };
  await assert.rejects(socket.map(), wrongState);
  await assert.rejects(socket.bind(bind), wrongState);
  await assert.rejects(socket.steer('all'), wrongState);
  await assert.rejects(
    socket.wait(() => true, {}),
    wrongState,
  );
  await assert.rejects(socket.registerMemory(buffer), wrongState);
  const rings = { receive: 4, transmit: 16 };
  for (const wrong of [
    { receive: 0, transmit: 0 },
    { ...rings, receive: 0.5 },
    { ...rings, transmit: 2 ** 21 },
    { ...rings, frameSize: 100 },
    { ...rings, blockSize: 2048 },
    { ...rings, frameSize: 8192, blockSize: 4096 },
    { ...rings, headroom: -1 },
    { ...rings, retireMilliseconds: 1e9 },
  ]) {
    await assert.rejects(socket.createRings(wrong), { code: 'INVALID_OPTION' }, JSON.stringify(wrong));
  }
  await socket.createRings(rings);
  await assert.rejects(socket.createRings(rings), wrongState);
  await socket.map();
  await assert.rejects(socket.map(), wrongState);
  await assert.rejects(socket.bind({ ...bind, mode: 'v2' }), { code: 'MODE_UNSUPPORTED' });
  await socket.close();
  await socket.close();
  await assert.rejects(socket.map(), { code: 'SOCKET_CLOSED' });
  assert.deepEqual(await socket.statistics(), { received: 0, sent: 0, drops: {}, systemCalls: 0 });
});

test('the ladder steps down to V3 with a reason for each rung', async () => {
  const fanout = { group: 1, type: 'hash' } as const;
  for (const options of [{ fanout }, { exclusive: false }] as const) {
    await using socket = await open({ mode: 'best', ...options });
    assert.equal(socket.mode.got, 'v3');
    assert.equal(socket.mode.exclusive, false);
    assert.deepEqual(
      socket.mode.refused.map(({ mode }) => mode),
      ['xdp-zc', 'xdp-copy', 'xdp-generic'],
    );
  }
  await using onLoopback = await open({ interface: 'lo', mode: ['xdp-copy', 'v3'] });
  assert.equal(onLoopback.mode.got, 'v3');
  assert.deepEqual(
    onLoopback.mode.refused.map(({ mode, code }) => [mode, code]),
    [['xdp-copy', 'MODE_UNSUPPORTED']],
  );
});

test('close undoes everything, however often a socket is opened, and on a full arena', async () => {
  const before = [arena.freeBytes, descriptors()];
  for (const mode of MODES) {
    for (let i = 0; i < 10; i++) {
      const socket = await open({ mode });
      await socket.close();
      await socket.close();
    }
  }
  const region = arena.allocate(arena.freeBytes - 2 ** 16);
  await assert.rejects(open({}), { code: 'ARENA_EXHAUSTED' });
  arena.free(region);
  assert.deepEqual([arena.freeBytes, descriptors()], before);
});

test('unbinding leaves the rings readable, as they were; closing leaves zeros', async () => {
  const socket = await kernel.socket('v3');
  const request = { receive: 4, transmit: 16, frameSize: 2048, blockSize: 8192, retireMilliseconds: 1 };
  await socket.createRings(request);
  const maps = await socket.map();
  const rings = new V3Rings({ maps, kicker: socket, buffer, outcomes: false, request });
  await socket.bind({ interface: name, mode: 'v3', receive: 'all', segments: false });
  await pair.start(pair.far, program('txpush'), pair.far.interface, 'v2', 20, 60).result;
  assert.ok(await socket.wait(() => rings.readable(), { timeoutMilliseconds: 5000 }));
  await new Promise((resolve) => setTimeout(resolve, 50)); // for the last block's time to be over
  await socket.unbind();
  const batch = new PacketBatch(64);
  assert.equal(rings.receive(batch), 20);
  assert.equal((await socket.statistics()).received, 20);
  rings.release(batch);
  rings.close();
  await socket.close();
  const { base, entries, entryBytes } = maps.receive!;
  assert.ok(arena.u8.subarray(base, base + entries * entryBytes).every((byte) => byte === 0));
  assert.equal(Atomics.load(arena.i32, maps.wakeTransmit >> 2), 0);
});

test('closing the kernel closes its sockets', async () => {
  const socket = await kernel.socket('v2');
  await kernel.close();
  await assert.rejects(socket.map(), { code: 'SOCKET_CLOSED' });
});
