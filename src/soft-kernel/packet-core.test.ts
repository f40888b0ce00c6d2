import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOf, type UdpFlow, udpPacket } from '../../test/support/packets.js';
import { Random } from '../../test/support/random.js';
import { Arena } from '../arena/arena.js';
import { CONTINUES, PacketArray } from '../packet-array/packet-array.js';
import type { PacketList } from '../packet-array/packet-list.js';
import { KernelRingCounters, type KernelRings } from '../ring/kernel-rings.js';
import type { SteeredPackets } from '../steering/rules.js';
import { Listener, PacketCore } from './packet-core.js';
import { PagePool } from './page-pool.js';

/** Rings that write down what is delivered to them. */
class Ears implements KernelRings {
  readonly receive = undefined;
  readonly transmit = undefined;
  readonly counters = new KernelRingCounters();
  readonly numbers: number[] = [];
  readonly lists: number[] = [];
  readonly times: number[] = [];

  constructor(private readonly u8: Uint8Array) {}

  deliver(packets: PacketList): void {
    this.lists.push(packets.count);
    this.times.push(packets.seconds * 1e9 + packets.nanoseconds);
    for (let i = 0; i < packets.count; i++) {
      const last = i === packets.count - 1;
      assert.ok(!last || (packets.flags[i]! & CONTINUES) === 0, 'half a packet was delivered');
      this.numbers.push(numberOf(this.u8, packets.address[i]!));
    }
  }

  setLargestPacket(): void {}
  tick(): void {}
  nextTick(): number {
    return Number.POSITIVE_INFINITY;
  }
  transmitPosted(): boolean {
    return false;
  }
  receivePosted(): boolean {
    return false;
  }
}

class Bench {
  readonly arena = Arena.create(2 ** 25);
  readonly pool = new PagePool(this.arena);
  readonly core = new PacketCore(this.arena.u8, this.pool);
  readonly array = new PacketArray(1024);

  listen(receive: SteeredPackets, { queue = -1, exclusive = false } = {}): Ears & { listener: Listener } {
    const ears = new Ears(this.arena.u8);
    const listener = new Listener(ears, queue, exclusive);
    this.core.add(listener, receive);
    return Object.assign(ears, { listener });
  }

  /** Packets arrive on a queue. */
  arrive(packets: readonly UdpFlow[], queue = 0): void {
    this.arriveParts(
      packets.map((flow) => [udpPacket(flow)]),
      queue,
    );
  }

  arriveParts(packets: readonly (readonly Uint8Array[])[], queue = 0): void {
    const { array } = this;
    const parts = packets.flatMap((packet) => packet.map((bytes, i) => ({ bytes, more: i < packet.length - 1 })));
    assert.equal(this.pool.populate(array, parts.length), parts.length);
    for (const { bytes, more } of parts) {
      const at = array.current & array.mask;
      this.arena.u8.set(bytes, array.address[at]!);
      array.length[at] = bytes.length;
      array.flags[at] = more ? CONTINUES : 0;
      array.advance(1);
    }
    this.core.flush(queue, array, array.done);
    assert.equal(array.done, 0);
    assert.equal(this.pool.outstanding, array.outstanding, 'all frames are back');
  }
}

const flows = (count: number, first = 0): UdpFlow[] =>
  Array.from({ length: count }, (_, i) => ({ number: first + i, destinationPort: 100 + ((first + i) % 10) }));

test('an AF_PACKET socket gets a copy, and the ordinary stack sees the packet, too (Q2)', () => {
  const bench = new Bench();
  const [one, two] = [bench.listen('all'), bench.listen('all')];
  bench.arrive(flows(5));
  assert.deepEqual(one.numbers, [0, 1, 2, 3, 4]);
  assert.deepEqual(two.numbers, [0, 1, 2, 3, 4]);
  assert.deepEqual([bench.core.stack.packets, bench.core.stack.bytes], [5, 300]);
});

test('an AF_XDP socket takes the packets of its queue away from everybody else', () => {
  const bench = new Bench();
  const tap = bench.listen('all');
  const taker = bench.listen('all', { queue: 1, exclusive: true });
  bench.arrive(flows(3), 0);
  bench.arrive(flows(3, 10), 1);
  assert.deepEqual(taker.numbers, [10, 11, 12]);
  assert.deepEqual(tap.numbers, [0, 1, 2]);
  assert.equal(bench.core.stack.packets, 3);
});

test('a tap of one queue hears that queue only', () => {
  const bench = new Bench();
  const all = bench.listen('all');
  const one = bench.listen('all', { queue: 1 });
  const ruled = bench.listen([{ protocol: 'udp' }], { queue: 1 });
  bench.arrive(flows(2), 0);
  bench.arrive(flows(2, 10), 1);
  assert.deepEqual(
    [all.numbers, one.numbers, ruled.numbers],
    [
      [0, 1, 10, 11],
      [10, 11],
      [10, 11],
    ],
  );
});

test('"none" hears nothing', () => {
  const bench = new Bench();
  const nothing = bench.listen('none');
  bench.arrive(flows(4));
  assert.deepEqual(nothing.numbers, []);
});

test('rules: each socket gets what its rules match, once, however many of them match, and in order', () => {
  const bench = new Bench();
  const odd = bench.listen(
    [101, 103, 105, 107, 109].map((destinationPort) => ({ destinationPort, protocol: 'udp' as const })),
  );
  const twice = bench.listen([{ protocol: 'udp' }, { destinationPort: 102 }, { port: 102 }]);
  const never = bench.listen([{ protocol: 'tcp' }]);
  bench.arrive(flows(20));
  assert.deepEqual(
    odd.numbers,
    Array.from({ length: 10 }, (_, i) => 2 * i + 1),
  );
  assert.deepEqual(
    twice.numbers,
    Array.from({ length: 20 }, (_, i) => i),
  );
  assert.deepEqual(never.numbers, []);
  assert.equal(bench.core.stack.packets, 20);
});

test('exclusive rules take what they match, the rest goes on its way', () => {
  const bench = new Bench();
  const tap = bench.listen('all');
  const ruled = bench.listen([{ protocol: 'udp', destinationPort: 105 }]);
  const thief = bench.listen([{ protocol: 'udp', destinationPort: 105 }], { queue: 0, exclusive: true });
  const elsewhere = bench.listen([{ protocol: 'udp', destinationPort: 106 }], { queue: 1, exclusive: true });
  bench.arrive(flows(10));
  assert.deepEqual(thief.numbers, [5]);
  assert.deepEqual(elsewhere.numbers, []);
  assert.deepEqual(tap.numbers, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
  assert.deepEqual(ruled.numbers, []);
  assert.equal(bench.core.stack.packets, 9);
});

test('a socket with rules beside one that takes all of the queue gets its own packets', () => {
  const bench = new Bench();
  const all = bench.listen('all', { queue: 0, exclusive: true });
  const some = bench.listen([{ protocol: 'udp', destinationPort: 105 }], { queue: 0, exclusive: true });
  bench.arrive(flows(10));
  assert.deepEqual(some.numbers, [5]);
  assert.deepEqual(all.numbers, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
  assert.equal(bench.core.stack.packets, 0);
});

test('two takers of everything on one queue: the second is refused, and leaves nothing behind', () => {
  const bench = new Bench();
  const first = bench.listen('all', { queue: 0, exclusive: true });
  assert.throws(() => bench.listen('all', { queue: 0, exclusive: true }), { code: 'QUEUE_BUSY' });
  assert.doesNotThrow(() => bench.listen('all', { queue: 1, exclusive: true }));
  bench.arrive(flows(2));
  assert.deepEqual(first.numbers, [0, 1]);
  bench.core.remove(first.listener);
  const next = bench.listen('all', { queue: 0, exclusive: true });
  bench.arrive(flows(2));
  assert.deepEqual(next.numbers, [0, 1]);
});

test('steering anew changes what comes from the next packet on, and a refused change changes nothing (Q4)', () => {
  const bench = new Bench();
  const ears = bench.listen([{ protocol: 'udp', destinationPort: 101 }]);
  bench.arrive(flows(10));
  bench.core.steer(ears.listener, [{ protocol: 'udp', destinationPort: 102 }]);
  bench.arrive(flows(10, 10));
  bench.core.steer(ears.listener, 'all');
  bench.arrive(flows(2, 20));
  bench.core.steer(ears.listener, 'none');
  bench.arrive(flows(10, 30));
  bench.core.steer(ears.listener, [{ protocol: 'udp', destinationPort: 103 }]);
  assert.throws(() => bench.core.steer(ears.listener, [{ vlan: 3 }, { vlan: 9999 }]), { code: 'INVALID_OPTION' });
  bench.arrive(flows(10, 40));
  assert.deepEqual(ears.numbers, [1, 12, 20, 21, 43]);
});

test('a removed listener hears nothing more', () => {
  const bench = new Bench();
  for (const receive of ['all', [{ protocol: 'udp' as const }]] satisfies SteeredPackets[]) {
    for (const exclusive of [false, true]) {
      const ears = bench.listen(receive, { queue: 0, exclusive });
      bench.arrive(flows(1));
      bench.core.remove(ears.listener);
      bench.arrive(flows(1));
      assert.deepEqual(ears.numbers, [0]);
    }
  }
});

test('thousands of sockets, a rule each: every packet finds its own', () => {
  const bench = new Bench();
  const count = 3000;
  const sockets = Array.from({ length: count }, (_, i) =>
    bench.listen(
      [{ protocol: 'udp', source: `10.2.${i >> 8}.${i & 255}` }],
      i % 2 === 0 ? {} : { queue: 0, exclusive: true },
    ),
  );
  const random = new Random(6);
  for (let round = 0; round < 10; round++) {
    bench.arrive(
      Array.from({ length: 60 }, () => {
        const i = random.below(count);
        return { source: `10.2.${i >> 8}.${i & 255}`, number: i };
      }),
    );
  }
  assert.equal(
    sockets.reduce((sum, { numbers }) => sum + numbers.length, 0),
    600,
  );
  sockets.forEach(({ numbers }, i) => {
    assert.ok(numbers.every((number) => number === i));
  });
});

test('one socket whose rules match thousands of packets in one batch gets all of them', () => {
  const bench = new Bench();
  const ears = bench.listen([{ protocol: 'udp' }]);
  bench.arrive(flows(1000));
  assert.deepEqual(
    ears.numbers,
    Array.from({ length: 1000 }, (_, i) => i),
  );
});

test('packets of several frames stay together, whoever gets them and however many there are', () => {
  const part = (number: number): Uint8Array => udpPacket({ number, length: 100 });
  for (const receive of ['all', [{ protocol: 'udp' as const }]] satisfies SteeredPackets[]) {
    const bench = new Bench();
    const ears = bench.listen(receive);
    const packets = Array.from({ length: 250 }, (_, i) => [part(3 * i), part(3 * i + 1), part(3 * i + 2)]);
    bench.arriveParts([[part(1000)], ...packets]);
    assert.deepEqual(ears.numbers, [1000, ...Array(750).keys()]);
    assert.equal(bench.core.stack.packets, 251);
  }
});

test('packets carry the time of the flush', () => {
  const bench = new Bench();
  const [all, ruled] = [bench.listen('all'), bench.listen([{ protocol: 'udp' }])];
  bench.core.setTime(5, 7);
  bench.arrive(flows(1));
  bench.core.setTime(6, 8);
  bench.arrive(flows(1));
  assert.deepEqual(all.times, [5e9 + 7, 6e9 + 8]);
  assert.deepEqual(ruled.times, [5e9 + 7, 6e9 + 8]);
});

test('the stack can be observed', () => {
  const bench = new Bench();
  const seen: number[] = [];
  bench.core.stack.observe = (packets) => seen.push(packets.count);
  bench.arrive(flows(3));
  assert.deepEqual(seen, [3]);
});
