import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import type { FlowRule, Receive } from '../../../src/steering/rules.js';
import { numberOf } from '../../support/packets.js';
import { VethPair } from '../../support/veth-pair.js';
import { openXdp, type XdpSession } from '../../support/xdp-session.js';

// Two queues; what the far end sends through one arrives on the same one here.
const pair = VethPair.inherited();
after(async () => {
  await kernel.close();
  pair.close();
});
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const { interface: name } = pair.near;
const arena = Arena.create(2 ** 26);
const kernel = new LinuxKernel({ arena });
const NEAR = '10.99.0.1';
const FAR = '10.99.0.2';

pair.run(pair.near, 'ip', 'address', 'add', `${NEAR}/24`, 'dev', name);
pair.run(pair.far, 'ip', 'address', 'add', `${FAR}/24`, 'dev', pair.far.interface);
// A socket that receives all packets takes the stack's ARP, too: neighbours are known beforehand.
for (const [end, address, mac] of [
  [pair.near, FAR, pair.far.mac],
  [pair.far, NEAR, pair.near.mac],
] as const) {
  pair.run(end, 'ip', 'neigh', 'replace', address, 'lladdr', mac, 'dev', end.interface, 'nud', 'permanent');
}

const udp = (port: number): FlowRule => ({ protocol: 'udp', destinationPort: port });

/** A socket of the stack, open until the test ends. */
async function boundTo(port: number, t: TestContext): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 2 ** 20 });
  t.after(() => socket.close());
  socket.bind(port, NEAR);
  await once(socket, 'listening');
  return socket;
}

/** Numbers of the packets that lie in the receive ring. */
function take({ rings, buffer }: Pick<XdpSession, 'rings' | 'buffer'>): number[] {
  const batch = new PacketBatch(64);
  const numbers: number[] = [];
  while (rings.receive(batch) > 0) {
    for (let i = 0; i < batch.length; i++) numbers.push(numberOf(buffer.arena.u8, batch.offset[i]!));
    rings.release(batch);
  }
  return numbers;
}

/** The far end sends ten packets to each port through a queue. They are where they belong when this resolves. */
async function sendTo(queue: number, ...ports: number[]): Promise<void> {
  const { status, stderr } = await pair.start(pair.far, program('send-flows'), pair.far.interface, queue, 10, ...ports)
    .result;
  assert.equal(status, 0, stderr);
}

const every = (step: number, first: number, end: number): number[] => {
  const numbers: number[] = [];
  for (let number = first; number < end; number += step) numbers.push(number);
  return numbers;
};

for (const mode of ['xdp-copy', 'xdp-generic'] as const) {
  test(`${mode}: DNS comes to the sockets, and all else goes through the stack`, async (t) => {
    const stack = await boundTo(54, t);
    let datagrams = 0;
    stack.on('message', () => datagrams++);
    const buffer = PacketBuffer.create({ arena, frames: 2048 });
    const sockets = await Promise.all(
      // The stack hashes flows to queues: a socket on each hears them all.
      [0, 1].map((queue) =>
        openSocket({
          kernel,
          interface: name,
          queue,
          mode,
          buffer,
          ring: 256,
          receive: [{ protocol: 'udp', port: 53 }],
        }),
      ),
    );
    const server = createServer((connection) => connection.pipe(connection)).listen(7, NEAR);
    t.after(() => server.close());
    const echo = await pair.start(pair.far, program('tcp-echo'), NEAR, 7, 'through the stack').result;
    assert.equal(echo.stdout, 'through the stack\n', echo.stderr);
    const sender = pair.start(pair.far, program('udp-stream'), NEAR, 100, 53, 54);
    const batch = new PacketBatch(64);
    const numbers: number[] = [];
    for (let quiet = 0; (numbers.length < 50 || datagrams < 50) && quiet < 500; quiet++) {
      for (const socket of sockets) {
        socket.receive(batch);
        for (let i = 0; i < batch.length; i++) numbers.push(numberOf(socket.bytes, batch.offset[i]!));
        socket.release(batch);
      }
      await sleep(10);
    }
    await sender.result;
    assert.deepEqual(numbers, every(2, 0, 100));
    assert.equal(datagrams, 50);
    for (const socket of sockets) await socket.close();
    buffer.close();
  });
}

test('sockets of two queues receive by a filter expression and by rules', async () => {
  const buffer = PacketBuffer.create({ arena, frames: 2048 });
  const options = { kernel, interface: name, mode: 'xdp-copy', buffer, ring: 256 } as const;
  const filtered = await openSocket({
    ...options,
    queue: 0,
    receive: { filter: 'udp dst portrange 53-54 and less 100' },
  });
  const ruled = await openSocket({ ...options, queue: 1, receive: [udp(55)] });
  const numbersOf = (socket: typeof filtered): number[] => {
    const batch = new PacketBatch(64);
    const numbers: number[] = [];
    while (socket.receive(batch) > 0) {
      for (let i = 0; i < batch.length; i++) numbers.push(numberOf(socket.bytes, batch.offset[i]!));
      socket.release(batch);
    }
    return numbers;
  };
  await sendTo(0, 53, 55, 54);
  await sendTo(1, 53, 55, 54);
  assert.equal(numbersOf(filtered).length, 20);
  assert.equal(numbersOf(ruled).length, 10);
  await filtered.steer({ filter: 'udp dst port 55 and ip[8] > 0' });
  await sendTo(0, 53, 55, 54);
  assert.equal(numbersOf(filtered).length, 10);
  await assert.rejects(filtered.steer({ filter: 'udp prt 5' }), { code: 'FILTER_SYNTAX' });
  await sendTo(0, 53, 55, 54);
  assert.equal(numbersOf(filtered).length, 10);
  for (const socket of [filtered, ruled]) await socket.close();
  buffer.close();
});

test('steering while traffic runs loses no packet and doubles none', async (t) => {
  const count = 1500;
  const ports = [53, 54];
  const stack = await Promise.all(ports.map((port) => boundTo(port, t)));
  const seen = new Map<number, number>();
  const see = (number: number): void => void seen.set(number, (seen.get(number) ?? 0) + 1);
  let byStack = 0;
  for (const socket of stack) {
    socket.on('message', (datagram) => {
      byStack++;
      see(datagram.readUInt32BE());
    });
  }
  const buffer = PacketBuffer.create({ arena, frames: 4096 });
  const sessions = await Promise.all(
    [0, 1].map((queue) =>
      openXdp({ interface: name, queue, mode: 'xdp-copy', receive: 'none', kernel, buffer, entries: 1024 }),
    ),
  );
  const sender = pair.start(pair.far, program('udp-stream'), NEAR, count, ...ports);
  let isOver = false;
  const over = sender.result.finally(() => {
    isOver = true;
  });
  const wanted: Receive[] = [[udp(53)], 'all', [udp(54)], [udp(53), udp(54)], 'none', [{ source: FAR }], [udp(1)]];
  let bySockets = 0;
  let steered = 0;
  while (!isOver) {
    for (const session of sessions) await session.socket.steer(wanted[steered % wanted.length]!);
    steered++;
    await sleep(1);
    for (const number of sessions.flatMap(take)) {
      bySockets++;
      see(number);
    }
  }
  assert.equal((await over).status, 0);
  for (let i = 0; i < 100 && seen.size < count; i++) {
    await sleep(10);
    for (const number of sessions.flatMap(take)) see(number);
  }
  assert.equal(seen.size, count);
  assert.deepEqual(
    [...seen].filter(([, times]) => times !== 1),
    [],
  );
  // A change is some ten milliseconds, and many more on a busy machine.
  assert.ok(steered > 3 && bySockets > 0 && byStack > 0, `${steered}, ${bySockets}, ${byStack}`);
  for (const session of sessions) await session.close();
  buffer.close();
});

test('each queue has rules of its own, and keeps them while others come, steer and go', async () => {
  const buffer = PacketBuffer.create({ arena, frames: 2048 });
  const open = (queue: number, receive: Receive): Promise<XdpSession> =>
    openXdp({ interface: name, queue, mode: 'xdp-copy', receive, kernel, buffer, entries: 256 });
  const first = await open(0, [udp(53)]);
  const second = await open(1, [udp(54), udp(55)]);
  const sendToBoth = async (): Promise<void> => {
    await sendTo(0, 53, 54);
    await sendTo(1, 53, 54);
  };
  const evens = every(2, 0, 20);
  const odds = every(2, 1, 20);
  await sendToBoth();
  assert.deepEqual([take(first), take(second)], [evens, odds]);
  await first.socket.steer('all');
  await sendToBoth();
  assert.deepEqual([take(first), take(second)], [every(1, 0, 20), odds]);
  await first.socket.steer('none');
  await sendToBoth();
  assert.deepEqual([take(first), take(second)], [[], odds]);
  await first.socket.steer([udp(54)]);
  await second.socket.steer([udp(54)]);
  await sendToBoth();
  assert.deepEqual([take(first), take(second)], [odds, odds]);
  await first.close();
  await sendToBoth();
  assert.deepEqual(take(second), odds);
  const third = await open(0, 'all'); // not with the rules that the queue had before
  await sendToBoth();
  assert.deepEqual([take(third), take(second)], [every(1, 0, 20), odds]);
  await third.close();
  await second.close();
  assert.doesNotMatch(pair.run(pair.near, 'ip', 'link', 'show', name), /prog\/xdp/);
  assert.equal(buffer.free('receive') + buffer.free('send'), buffer.frames);
  buffer.close();
});

test('rules that are refused change nothing', async () => {
  const buffer = PacketBuffer.create({ arena, frames: 1024 });
  const options = { interface: name, queue: 0, mode: 'xdp-copy', kernel, buffer, entries: 256 } as const;
  const session = await openXdp({ ...options, receive: [udp(53)] });
  // All of different kinds: none can share a table with others.
  const tooMany = Array.from(
    { length: 4000 },
    (_, i): FlowRule => ({
      source: `10.0.0.0/${i % 33}`,
      destination: `10.0.0.0/${Math.floor(i / 33) % 33}`,
      ...(i % 2 === 0 && { sourcePort: 9 }),
      ...(i % 3 === 0 && { destinationPort: 9 }),
    }),
  );
  await assert.rejects(session.socket.steer(tooMany), {
    ...{ code: 'FLOW_TABLE_FULL', message: /verifier.* 8192 jumps/s, remedy: /fewer rules.*receive: 'all'/ },
  });
  await assert.rejects(session.socket.steer(new Array<FlowRule>(10_000).fill(udp(1))), {
    code: 'FLOW_TABLE_FULL',
    message: /10000 rules.*8192 at most/,
  });
  await assert.rejects(session.socket.steer([{ port: 99999 }]), {
    code: 'INVALID_OPTION',
    message: /receive\[0\]\.port/,
  });
  await assert.rejects(session.socket.steer([]), { code: 'INVALID_OPTION' });
  await sendTo(0, 53, 54);
  assert.deepEqual(take(session), every(2, 0, 20));
  await session.close();
  await assert.rejects(openXdp({ ...options, receive: tooMany }), { code: 'FLOW_TABLE_FULL' });
  assert.doesNotMatch(pair.run(pair.near, 'ip', 'link', 'show', name), /prog\/xdp/);
  assert.equal(buffer.free('receive') + buffer.free('send'), buffer.frames);
  buffer.close();
});
