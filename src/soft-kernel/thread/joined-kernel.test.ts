import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JoinedWork, JoinedWorker } from '../../../test/support/joined-worker.js';
import { udpPacket } from '../../../test/support/packets.js';
import { Arena } from '../../arena/arena.js';
import type { PacketError } from '../../errors.js';
import { nodeThreads } from '../../host/node-threads.js';
import { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../ring/packet-batch.js';
import { openSocket } from '../../socket/open-socket.js';
import type { PacketSocket } from '../../socket/packet-socket.js';
import { JoinedSoftKernel } from './joined-kernel.js';
import type { KernelShare } from './protocol.js';
import { ThreadedSoftKernel } from './threaded-kernel.js';

const ARENA_BYTES = 2 ** 26;
const KERNEL_BYTES = 2 ** 24;
const FIRST_PORT = 7000;
const WORKERS = 4;
/** Packets for each worker that have not come out at its other end: so few that nothing on the way is ever full. */
const MOST_UNDERWAY = 64;
const PACKETS = 4000;
/** Until something that must happen has happened: far beyond any pause of a busy machine. */
const LONGEST_WAIT = 30_000;

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + LONGEST_WAIT;
  while (!(await condition())) {
    if (performance.now() > deadline) assert.fail(`not in time: ${what}`);
    await sleep(1);
  }
}

function threadedKernel(arena = Arena.create(ARENA_BYTES)): ThreadedSoftKernel {
  return new ThreadedSoftKernel({ host: nodeThreads(), arena, kernelBytes: KERNEL_BYTES });
}

/** Two devices and a cable: workers are on `near`, the test sends from `far`. */
async function addDevices(kernel: ThreadedSoftKernel, queues: number): Promise<void> {
  const wire = { kind: 'patch', cable: 'between' } as const;
  await kernel.addNic({ name: 'near', queues, wire });
  await kernel.addNic({ name: 'far', wire });
}

/** Whether another socket may have what a worker's socket would have. */
async function isFree(kernel: ThreadedSoftKernel, { interface: name, queue, mode }: JoinedWork): Promise<boolean> {
  try {
    const receive = [{ protocol: 'udp', port: 1 }] as const;
    const sizes = { ring: 64, buffer: { frames: 64 } };
    const socket = await openSocket({ kernel, interface: name, queue, mode, receive, ...sizes });
    await socket.close();
    return true;
  } catch (error) {
    assert.equal((error as PacketError).code, 'QUEUE_BUSY');
    return false;
  }
}

/** Sends packets to the workers, as many as they keep up with, and counts what comes back. */
class Traffic {
  readonly sent = new Array<number>(WORKERS).fill(0);
  readonly back = new Array<number>(WORKERS).fill(0);
  readonly #packets = Array.from({ length: WORKERS }, (_, i) => udpPacket({ destinationPort: FIRST_PORT + i }));
  readonly #batch = new PacketBatch(MOST_UNDERWAY);

  constructor(private readonly socket: PacketSocket) {}

  send(worker: number, count: number): void {
    if (count === 0) return;
    const batch = this.#batch;
    this.socket.allocate(batch, count);
    for (let i = 0; i < batch.length; i++) {
      this.socket.bytes.set(this.#packets[worker]!, batch.offset[i]!);
      batch.size[i] = this.#packets[worker]!.length;
    }
    this.sent[worker]! += this.socket.send(batch);
    this.socket.release(batch);
  }

  receive(): void {
    const batch = this.#batch;
    while (this.socket.receive(batch) > 0) {
      for (let i = 0; i < batch.length; i++) {
        const port = (this.socket.bytes[batch.offset[i]! + 36]! << 8) | this.socket.bytes[batch.offset[i]! + 37]!;
        this.back[port - FIRST_PORT]!++;
      }
      this.socket.release(batch);
    }
  }

  /** Until each of `workers` has had `packets` more; `handled` says how many a worker has dealt with. */
  async run(workers: readonly number[], packets: number, handled: (worker: number) => number): Promise<void> {
    const end = this.sent.map((count) => count + packets);
    await until(
      () => {
        this.receive();
        for (const worker of workers) {
          const underway = this.sent[worker]! - handled(worker);
          this.send(worker, Math.min(MOST_UNDERWAY - underway, end[worker]! - this.sent[worker]!));
        }
        return workers.every((worker) => handled(worker) === end[worker]);
      },
      `${workers.map((worker) => `${handled(worker)} of ${this.sent[worker]}`).join(', ')} packets`,
    );
  }
}

for (const mode of ['v4-zc', 'xdp-zc', 'xdp-copy', 'v3'] as const) {
  for (const program of ['rxdrop', 'forward'] as const) {
    const zeroCopy = mode.endsWith('-zc');
    test(`${program} in ${mode} by four workers, one of which is terminated: the others lose nothing`, async () => {
      const arena = Arena.create(ARENA_BYTES);
      const free = arena.freeBytes;
      const kernel = threadedKernel(arena);
      // Zero-copy: a queue each, and one for everything else. In copy mode all of them listen to the only one.
      await addDevices(kernel, zeroCopy ? WORKERS + 1 : 1);
      const far = await openSocket({ kernel, interface: 'far', mode: 'v4', receive: 'all' });
      const traffic = new Traffic(far);
      const work = (i: number): JoinedWork => ({
        interface: 'near',
        queue: zeroCopy ? i : 0,
        mode,
        program,
        port: FIRST_PORT + i,
      });
      const workers = await Promise.all(Array.from({ length: WORKERS }, (_, i) => JoinedWorker.start(kernel, work(i))));
      await until(() => workers.every((worker) => worker.open), 'all sockets are open');
      const handled = (i: number) => (program === 'forward' ? traffic.back[i]! : workers[i]!.handled);
      await traffic.run([0, 1, 2, 3], PACKETS / 2, handled);

      const victim = workers[3]!;
      traffic.send(3, MOST_UNDERWAY / 2);
      const terminated = victim.terminate();
      await traffic.run([0, 1, 2], PACKETS / 2, handled);
      await terminated;

      await until(() => isFree(kernel, work(3)), 'the kernel has closed the socket of the terminated worker');
      workers[3] = await JoinedWorker.start(kernel, work(3));
      await until(() => workers[3]!.open, 'another worker has taken its place');
      traffic.send(3, MOST_UNDERWAY / 2);
      await until(() => workers[3]!.handled === MOST_UNDERWAY / 2, 'the other worker works');

      for (const worker of workers) assert.ok(await worker.stop(), 'a worker has ended too early');
      assert.equal(await victim.stop(), false);
      await far.close();
      await kernel.close();
      assert.equal(arena.freeBytes, free, 'memory was not given back');
    });
  }
}

test('workers move frames of one packet buffer from socket to socket', async () => {
  const arena = Arena.create(ARENA_BYTES);
  const kernel = threadedKernel(arena);
  await addDevices(kernel, 3);
  const buffer = PacketBuffer.create({ arena, frames: 4096 });
  const far = await openSocket({ kernel, interface: 'far', mode: 'v4-zc', receive: 'all', buffer, ring: 256 });
  const traffic = new Traffic(far);
  const start = (i: number) =>
    JoinedWorker.start(kernel, {
      interface: 'near',
      queue: i,
      mode: i === 0 ? 'v4-zc' : 'xdp-zc',
      program: 'forward',
      port: FIRST_PORT + i,
      buffer: buffer.share(),
    });
  const workers = await Promise.all([start(0), start(1)]);
  await until(() => workers.every((worker) => worker.open), 'all sockets are open');
  await traffic.run([0, 1], PACKETS / 4, (i) => traffic.back[i]!);
  for (const worker of workers) assert.ok(await worker.stop());
  await far.close();
  assert.equal(buffer.free('receive') + buffer.free('send'), 4096, 'frames are missing');
  buffer.close();
  await kernel.close();
});

describe('a joined kernel', () => {
  /** One on this thread, which makes no difference to the kernel. */
  async function joined() {
    const arena = Arena.create(ARENA_BYTES);
    const free = arena.freeBytes;
    const kernel = threadedKernel(arena);
    await kernel.addNic({ name: 'soft0' });
    const share = await kernel.share(2 ** 21);
    const other = new JoinedSoftKernel(share);
    const open = (on: ThreadedSoftKernel | JoinedSoftKernel) =>
      openSocket({ kernel: on, interface: 'soft0', mode: 'v2', receive: 'none', ring: 64, buffer: { frames: 64 } });
    return { arena, free, kernel, share, other, open };
  }

  test('is a whole kernel; closing it closes its own sockets only', async () => {
    const { arena, free, kernel, share, other, open } = await joined();
    await other.addNic({ name: 'soft1', wire: { kind: 'generator' } });
    assert.deepEqual(
      (await kernel.interfaces()).map(({ name }) => name),
      ['soft0', 'soft1'],
    );
    const mine = await open(kernel);
    const its = await openSocket({
      kernel: other,
      interface: 'soft1',
      mode: 'v4-zc',
      receive: 'all',
      buffer: { frames: 512 },
    });
    const batch = new PacketBatch(64);
    let received = 0;
    while (received < 100 && (await its.wait({ timeoutMilliseconds: LONGEST_WAIT }))) {
      received += its.receive(batch);
      its.release(batch);
    }
    assert.ok((await its.statistics()).kernelReceived >= 100);
    await other.close();
    await assert.rejects(other.interfaces(), { code: 'WRONG_STATE' });
    await its.close();
    assert.equal((await mine.statistics()).kernelSent, 0, 'the socket of another thread is open');
    await mine.close();
    await kernel.close();
    arena.free(share.arena.region);
    assert.equal(arena.freeBytes, free);
  });

  test('ends when its kernel is closed; the memory goes when its sockets are closed', async () => {
    const { arena, free, kernel, share, other, open } = await joined();
    const socket = await open(other);
    const waiting = socket.wait();
    await kernel.close();
    assert.equal(await waiting, false, 'who waits is told');
    await assert.rejects(open(other), { code: 'WRONG_STATE' });
    assert.ok(free - arena.freeBytes >= KERNEL_BYTES, 'the socket’s rings are still there');
    await socket.close();
    await other.close();
    arena.free(share.arena.region);
    await until(() => arena.freeBytes === free, 'memory is given back');
  });

  test('cannot join a kernel that is closed, and a share that nobody used keeps nothing alive', async () => {
    const { arena, free, kernel, share, other } = await joined();
    const late = await kernel.share(2 ** 21);
    await kernel.close();
    await other.close();
    const tooLate = new JoinedSoftKernel(late);
    await assert.rejects(tooLate.interfaces(), { code: 'WRONG_STATE' });
    await tooLate.close();
    await assert.rejects(kernel.share(2 ** 20), { code: 'WRONG_STATE' });
    for (const one of [share, late]) arena.free(one.arena.region);
    assert.equal(arena.freeBytes, free);
  });

  test('cannot name sockets of another thread, nor close the kernel', async () => {
    const { kernel, other, open } = await joined();
    const mine = await open(kernel);
    await assert.rejects(other.call(0, 'statistics'), { code: 'SOCKET_CLOSED' });
    await other.call(0, 'close');
    await assert.rejects(other.call(undefined, 'shutdown'), /no kernel call/);
    assert.equal((await mine.statistics()).kernelSent, 0);
    await other.close();
    await mine.close();
    await kernel.close();
  });

  test('wants what share() has returned', () => {
    for (const share of [undefined, null, {}, { arena: {}, doorbell: 4096, port: {} }]) {
      assert.throws(() => new JoinedSoftKernel(share as KernelShare), { code: 'INVALID_OPTION' });
    }
  });
});
