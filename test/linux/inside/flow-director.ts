import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { decodeEntry } from '../../../src/linux-kernel/flow-director/decode-entry.js';
import { NtupleTable } from '../../../src/linux-kernel/flow-director/ntuple-table.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import type { FlowRule } from '../../../src/steering/rules.js';
import { udpPacket } from '../../support/packets.js';
import { StandInDirector } from '../../support/stand-in-director.js';
import { VethPair } from '../../support/veth-pair.js';

// veth has no flow director: entries go to a stand-in for the driver's ioctl, and packets are sent to the queue that it says.
const pair = VethPair.inherited();
const director = new StandInDirector({ queues: 2 });
const kernel = new LinuxKernel({ arena: Arena.create(2 ** 25), useEthtool: (_name, work) => work(director) });
after(async () => {
  await kernel.close();
  pair.close();
});
const { interface: name } = pair.near;
const sendFlows = fileURLToPath(new URL('../../support/programs/send-flows.js', import.meta.url));

const open = (options: Partial<OpenSocketOptions>): Promise<PacketSocket> =>
  openSocket({
    ...({ kernel, interface: name, mode: 'xdp-copy', receive: 'none', flowDirector: true } as const),
    ...({ ring: 64, buffer: { frames: 256 } } as const),
    ...options,
  });

const udp = (port: number): FlowRule => ({ etherType: 'ipv4', protocol: 'udp', destinationPort: port });
const entries = (): string[] =>
  new NtupleTable(director, name)
    .list()
    .map((entry) => `${decodeEntry(entry).rule?.destinationPort} ${JSON.stringify(entry.action)}`);

/** The far end sends ten packets to each port, by the queue to which the device would send them, or queue 0. */
async function send(...ports: number[]): Promise<void> {
  for (const destinationPort of ports) {
    const packet = udpPacket({ source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 9, destinationPort });
    const queue = director.classify(packet) ?? 0;
    const { status, stderr } = await pair.start(pair.far, sendFlows, pair.far.interface, queue, 10, destinationPort)
      .result;
    assert.equal(status, 0, stderr);
  }
}

function count(socket: PacketSocket): number {
  const batch = new PacketBatch(64);
  let packets = 0;
  while (socket.receive(batch) > 0) {
    packets += batch.length;
    socket.release(batch);
  }
  return packets;
}

test('what rules pick comes to the queue of the socket, or to the one that they name', async () => {
  const other = await open({ queue: 0, receive: [udp(55)] });
  const socket = await open({
    queue: 1,
    receive: [udp(53), { ...udp(54), to: 'drop' }, { ...udp(56), to: { queue: 0 } }],
  });
  assert.deepEqual(entries().sort(), ['53 {"queue":1}', '54 {"queue":1}', '55 {"queue":0}', '56 {"queue":0}']);
  await send(53, 54, 55, 56, 57);
  assert.equal(count(socket), 10);
  assert.equal(count(other), 10);
  assert.equal((await socket.statistics()).drops.rule, 10);
  // Steered under way: what is new comes, what is gone leaves.
  await socket.steer([udp(57), { ...udp(53), to: { queue: 0 } }]);
  await other.steer([udp(53)].map((rule) => ({ ...rule, to: { queue: 0 } })));
  assert.deepEqual(entries().sort(), ['53 {"queue":0}', '57 {"queue":1}']);
  await send(53, 57);
  assert.equal(count(socket), 10);
  assert.equal(count(other), 10);
  await socket.close();
  assert.deepEqual(entries(), ['53 {"queue":0}']);
  await other.steer('none');
  assert.deepEqual(entries(), []);
  await other.close();
});

test('a steering that fails leaves device and program as they were', async () => {
  const socket = await open({ queue: 1, receive: [udp(53)] });
  const before = entries();
  await assert.rejects(socket.steer([udp(54), { ...udp(55), to: { queue: 2 } }]), { code: 'NO_QUEUE' });
  await assert.rejects(socket.steer([{ protocol: 'udp', bucket: [0, 2] }]), { code: 'RULES_UNSUPPORTED' });
  await assert.rejects(socket.steer({ filter: 'udp' }), { code: 'RULES_UNSUPPORTED', message: /filter expression/ });
  assert.deepEqual(entries(), before);
  await send(53, 54);
  assert.equal(count(socket), 10);
  await socket.close();
  assert.deepEqual(entries(), []);
});

test('who cannot have it is told so', async () => {
  await assert.rejects(open({ mode: 'v3', receive: [udp(53)] }), {
    code: 'RULES_UNSUPPORTED',
    message: /hear copies/,
  });
  await assert.rejects(open({ queue: 0, flowDirector: false, receive: [{ ...udp(53), to: { queue: 0 } }] }), {
    code: 'RULES_UNSUPPORTED',
    remedy: /flowDirector: true/,
  });
  const plain = new LinuxKernel({ arena: Arena.create(2 ** 25) });
  await assert.rejects(open({ kernel: plain, queue: 0, receive: [udp(53)] }), {
    code: 'RULES_UNSUPPORTED',
    message: /the device has none/,
    syscall: 'ioctl ETHTOOL_GRXCLSRLCNT',
  });
  assert.doesNotMatch(pair.run(pair.near, 'ip', 'link', 'show', name), /prog\/xdp/);
  await plain.close();
});
