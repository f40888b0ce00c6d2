import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Arena } from '../arena/arena.js';
import { CONTINUES, ERROR_MASK, type PacketArray } from '../packet-array/packet-array.js';
import type { ArrayEnd, QueueEnds } from './contract.js';
import { VethDriver } from './veth-driver.js';

const ENETDOWN = 100;
const ROOM = 1792;
const FRAME = 2048;

/** Ends of one queue that keep what passes through them: `post` packets to send, read what arrived in `arrived`. */
class FakeEnds implements QueueEnds {
  readonly #arena: Arena;
  readonly #frames: number[] = [];
  readonly #posted: { at: number; length: number; flags: number }[] = [];
  readonly total: number;
  readonly arrived: string[] = [];
  /** What came back from sending: text and errno. */
  readonly sentBack: [string, number][] = [];
  reclaimed = 0;
  /** Empty frames that it gives out from now on. */
  supply = Number.POSITIVE_INFINITY;
  pulls = 0;
  readonly receive: QueueEnds['receive'];
  readonly transmit: ArrayEnd;

  constructor(arena: Arena, framePool?: object) {
    this.#arena = arena;
    this.total = 256;
    const region = arena.allocate(this.total * FRAME, FRAME);
    for (let i = 0; i < this.total; i++) this.#frames.push(region.offset + i * FRAME + 256);
    const pool = framePool === undefined ? {} : { framePool };
    const take = (array: PacketArray) => {
      const at = array.start & array.mask;
      array.start = (array.start + 1) | 0;
      return { at: array.address[at]!, length: array.length[at]!, flags: array.flags[at]! };
    };
    this.receive = {
      ...pool,
      room: ROOM,
      frameBytes: FRAME,
      recycle: (frames, count) => {
        for (let i = 0; i < count; i++) this.#frames.push((frames[i]! & -FRAME) + 256);
      },
      populate: (array, limit) => {
        const count = Math.min(limit, array.room, this.#frames.length, this.supply);
        for (let i = 0; i < count; i++) array.add(this.#frames.pop()!, 0, 0, 0);
        this.supply -= count;
        return count;
      },
      flush: (array, count) => {
        let text = '';
        for (let i = 0; i < count; i++) {
          const { at, length, flags } = take(array);
          text += this.#text(at, length);
          this.#frames.push(at);
          if ((flags & CONTINUES) !== 0) continue;
          this.arrived.push(text);
          text = '';
        }
        assert.equal(text, '', 'only whole packets are flushed');
      },
      reclaim: (array) => {
        while (array.start !== array.end) this.#frames.push(take(array).at);
      },
    };
    this.transmit = {
      ...pool,
      populate: (array, limit) => {
        this.pulls++;
        const count = Math.min(limit, array.room, this.#posted.length);
        for (const { at, length, flags } of this.#posted.splice(0, count)) array.add(at, length, flags, 0);
        return count;
      },
      flush: (array, count) => {
        for (let i = 0; i < count; i++) {
          const { at, length, flags } = take(array);
          this.sentBack.push([this.#text(at, length), flags & ERROR_MASK]);
          this.#frames.push(at);
        }
      },
      reclaim: (array) => {
        while (array.start !== array.end) {
          this.reclaimed++;
          this.#frames.push(take(array).at);
        }
      },
    };
  }

  /** Frames that are here and not in an array. */
  get free(): number {
    return this.#frames.length + this.#posted.length;
  }

  #text(at: number, length: number): string {
    return Buffer.from(this.#arena.u8.slice(at, at + length))
      .toString()
      .replace(/\.+$/, '');
  }

  /** Posts a packet; each part is padded with dots to `size` bytes. */
  post(parts: string | string[], size = 60): void {
    const list = typeof parts === 'string' ? [parts] : parts;
    list.forEach((text, i) => {
      const at = this.#frames.shift()!;
      this.#arena.u8.set(Buffer.from(text.padEnd(size, '.')), at);
      this.#posted.push({ at, length: size, flags: i < list.length - 1 ? CONTINUES : 0 });
    });
  }
}

interface Side {
  readonly driver: VethDriver;
  /** Ordinary ends by queue number. */
  readonly ends: Map<number, FakeEnds>;
}

function makePair(queues = 1, options: { framePool?: object; mtus?: [number, number] } = {}) {
  const arena = Arena.create(2 ** 25);
  const side = (name: string, mtu: number) => {
    const ends = new Map<number, FakeEnds>();
    const ordinary = (queue: number) => {
      const made = new FakeEnds(arena, options.framePool);
      ends.set(queue, made);
      return made;
    };
    return { ends, options: { name, mtu, mac: '02:00:00:00:00:01', ordinary } };
  };
  const [left, right] = [side('left', options.mtus?.[0] ?? 1500), side('right', options.mtus?.[1] ?? 1500)];
  const [one, two] = VethDriver.pair(arena, queues, left.options, right.options);
  const a: Side = { driver: one, ends: left.ends };
  const b: Side = { driver: two, ends: right.ends };
  return { arena, a, b };
}

/** What the kernel does in a step. */
function step({ a, b }: { a: Side; b: Side }, budget = 64): number {
  const moved = a.driver.advance(0, budget) + b.driver.advance(0, budget);
  return moved + a.driver.poll(budget) + b.driver.poll(budget);
}

describe('VethDriver', () => {
  test('what one end sends the other receives, both ways, and the sender gets its frames back', () => {
    const pair = makePair();
    const { a, b } = pair;
    const [left, right] = [new FakeEnds(pair.arena), new FakeEnds(pair.arena)];
    a.driver.setEnds(0, left);
    b.driver.setEnds(0, right);
    left.post('ping');
    right.post(['po', 'ng'], 700);
    a.driver.service(0);
    b.driver.service(0);
    assert.equal(a.driver.nextEvent(7), 7);
    step(pair);
    assert.deepEqual(right.arrived, ['ping']);
    assert.deepEqual(left.arrived, [`${'po'.padEnd(700, '.')}ng`]);
    assert.deepEqual(left.sentBack, [['ping', 0]]);
    assert.equal(right.sentBack.length, 2);
    assert.equal(step(pair), 0);
    assert.equal(a.driver.nextEvent(7), Number.POSITIVE_INFINITY);
    const { rx_packets, rx_bytes, tx_packets, tx_bytes, rx_queue_0_packets, tx_queue_0_packets } =
      a.driver.statistics();
    assert.deepEqual(
      [rx_packets, rx_bytes, tx_packets, tx_bytes, rx_queue_0_packets, tx_queue_0_packets],
      [1, 1400, 1, 60, 1, 1],
    );
  });

  test('ordinary traffic leaves through its own queue and arrives on queue 0; queue N arrives on queue N', () => {
    const pair = makePair(4096);
    const { a, b } = pair;
    const socket = new FakeEnds(pair.arena);
    a.driver.setEnds(3, socket);
    socket.post('three');
    a.driver.service(3);
    a.driver.service(a.driver.ordinaryQueue);
    a.ends.get(4096)!.post('ordinary');
    a.driver.service(a.driver.ordinaryQueue);
    step(pair);
    assert.deepEqual(b.ends.get(0)!.arrived, ['ordinary']);
    assert.deepEqual(b.ends.get(3)!.arrived, ['three']);
    assert.deepEqual([...b.ends.keys()].sort(), [0, 3], 'queues are opened when something arrives');
  });

  test('a queue whose socket only receives leaves the ordinary traffic alone', () => {
    const pair = makePair();
    const { driver, ends } = pair.a;
    driver.setEnds(0, undefined);
    const ordinary = ends.get(0)!;
    driver.setEnds(0, { receive: new FakeEnds(pair.arena).receive, transmit: ordinary.transmit });
    ordinary.post('not here');
    assert.equal(driver.service(0), 256, 'its empty frames are taken');
    assert.equal(ordinary.pulls, 0);
  });

  test('ordinary empty frames stay with their pool until packets need them', () => {
    const pair = makePair();
    const { driver, ends } = pair.b;
    driver.setEnds(0, undefined);
    driver.service(0);
    const ordinary = ends.get(0)!;
    assert.equal(ordinary.free, ordinary.total);
  });

  test('works for the budget and comes back to the rest; no queue keeps the others waiting', () => {
    const pair = makePair(2);
    const { a, b } = pair;
    const sockets = [new FakeEnds(pair.arena), new FakeEnds(pair.arena)];
    sockets.forEach((socket, queue) => {
      a.driver.setEnds(queue, socket);
      for (let i = 0; i < 100; i++) socket.post(`${queue}/${i}`);
      a.driver.service(queue);
    });
    assert.equal(a.driver.advance(0, 10), 10);
    assert.equal(a.driver.advance(0, 10), 10);
    assert.deepEqual(
      sockets.map((socket) => socket.sentBack.length),
      [10, 10],
    );
    assert.equal(b.driver.poll(4), 8, 'four packets of each queue');
    while (step(pair, 10) > 0);
    for (const queue of [0, 1]) {
      assert.deepEqual(
        b.ends.get(queue)!.arrived,
        Array.from({ length: 100 }, (_, i) => `${queue}/${i}`),
      );
    }
  });

  test('sends everything that waits at an end, also more than its array holds', () => {
    const pair = makePair();
    const { a, b } = pair;
    a.driver.service(a.driver.ordinaryQueue);
    const ordinary = a.ends.get(1)!;
    for (let i = 0; i < 250; i++) ordinary.post(`${i}`);
    for (let round = 0; round < 3; round++) {
      a.driver.service(a.driver.ordinaryQueue);
      for (let i = 0; i < 3; i++) a.driver.advance(0, 32);
      b.driver.poll(256);
      for (let i = 0; i < 90; i++) ordinary.post(`${250 + round * 90 + i}`);
    }
    while (step(pair) > 0);
    assert.deepEqual(
      b.ends.get(0)!.arrived,
      Array.from({ length: 520 }, (_, i) => `${i}`),
    );
  });

  test('drops what finds no frame at the peer, counts it there, and tells the sender it was sent', () => {
    const pair = makePair();
    const { a, b } = pair;
    const [left, right] = [new FakeEnds(pair.arena), new FakeEnds(pair.arena)];
    a.driver.setEnds(0, left);
    b.driver.setEnds(0, right);
    right.supply = 2;
    for (let i = 0; i < 5; i++) left.post(`${i}`);
    a.driver.service(0);
    step(pair);
    assert.deepEqual(right.arrived, ['0', '1']);
    assert.deepEqual(
      left.sentBack.map(([, error]) => error),
      [0, 0, 0, 0, 0],
    );
    const there = b.driver.statistics();
    assert.equal(there.rx_no_descriptor, 3);
    assert.equal(there.rx_queue_0_drops, 3);
    assert.equal(a.driver.statistics().tx_packets, there.rx_packets! + there.rx_no_descriptor!);
    right.supply = 100;
    left.post('again');
    a.driver.service(0);
    step(pair);
    assert.deepEqual(right.arrived, ['0', '1', 'again']);
  });

  test("the receiving end's MTU decides what is too long", () => {
    const pair = makePair(1, { mtus: [9000, 1500] });
    const { a, b } = pair;
    a.driver.service(1);
    const ordinary = a.ends.get(1)!;
    ordinary.post('fits', 1522);
    ordinary.post('too long', 1523);
    ordinary.post(['too', 'long'], 762);
    a.driver.service(1);
    step(pair);
    assert.deepEqual(b.ends.get(0)!.arrived, ['fits']);
    assert.equal(b.driver.statistics().rx_oversize, 2);
    assert.ok(ordinary.sentBack.every(([, error]) => error === 0));
    assert.equal(ordinary.free, ordinary.total);
  });

  test('has a link while both ends are up; without it what is sent comes back with ENETDOWN', () => {
    const pair = makePair();
    const { a, b } = pair;
    b.driver.setLink(false);
    assert.equal(a.driver.up, false);
    assert.equal(b.driver.up, false);
    a.driver.service(1);
    const ordinary = a.ends.get(1)!;
    ordinary.post('lost');
    ordinary.post(['lost', 'too']);
    a.driver.service(1);
    step(pair);
    assert.deepEqual(
      ordinary.sentBack.map(([, error]) => error),
      [ENETDOWN, ENETDOWN, ENETDOWN],
    );
    assert.equal(a.driver.statistics().tx_errors, 2);
    assert.equal(a.driver.statistics().tx_packets, 0);
    b.driver.setLink(true);
    assert.equal(a.driver.up, true);
    ordinary.post('there');
    a.driver.service(1);
    step(pair);
    assert.deepEqual(b.ends.get(0)!.arrived, ['there']);
  });

  test('a queue that changes its ends delivers what has arrived, gives back the rest, and counts what was on its way', () => {
    const pair = makePair();
    const { a, b } = pair;
    const [left, right] = [new FakeEnds(pair.arena), new FakeEnds(pair.arena)];
    a.driver.setEnds(0, left);
    b.driver.setEnds(0, right);
    b.driver.service(0);
    for (let i = 0; i < 20; i++) left.post(`${i}`);
    a.driver.service(0);
    a.driver.advance(0, 8);
    b.driver.setEnds(0, undefined);
    assert.equal(right.arrived.length, 8);
    assert.equal(right.free, right.total);
    a.driver.setEnds(0, undefined);
    assert.equal(left.reclaimed, 12);
    assert.equal(left.free, left.total);
    assert.equal(a.driver.statistics().tx_dropped, 12);
    assert.equal(step(pair), 0);
    assert.equal(a.driver.nextEvent(0), Number.POSITIVE_INFINITY);
  });

  test('a packet without its end is not waited for in a circle, and is sent when the end comes', () => {
    const pair = makePair();
    const { a, b } = pair;
    const array: { flags: number }[] = [];
    const half = { at: 0 };
    const region = pair.arena.allocate(4096);
    const transmit: ArrayEnd = {
      populate(into, limit) {
        if (half.at >= 2 || limit === 0 || array.length === 0) return 0;
        into.add(region.offset, 60, array.shift()!.flags, 0);
        half.at++;
        return 1;
      },
      flush(from, count) {
        from.start = (from.start + count) | 0;
      },
    };
    a.driver.setEnds(0, { receive: new FakeEnds(pair.arena).receive, transmit });
    array.push({ flags: CONTINUES });
    a.driver.service(0);
    step(pair);
    assert.equal(a.driver.nextEvent(0), Number.POSITIVE_INFINITY);
    array.push({ flags: 0 });
    a.driver.service(0);
    step(pair);
    assert.equal(b.ends.get(0)!.arrived.length, 1);
  });

  test('ends of one frame pool exchange frames; others copy', () => {
    const shared = makePair(1, { framePool: {} });
    for (const pair of [shared, makePair()]) {
      const { a, b } = pair;
      a.driver.service(1);
      const sender = a.ends.get(1)!;
      for (let i = 0; i < 100; i++) sender.post(`${i}`, 100);
      a.driver.service(1);
      while (step(pair) > 0);
      assert.deepEqual(
        b.ends.get(0)!.arrived,
        Array.from({ length: 100 }, (_, i) => `${i}`),
      );
      assert.equal(b.driver.statistics().rx_exchanged, pair === shared ? 100 : 0);
      assert.equal(sender.free + b.ends.get(0)!.free, sender.total + b.ends.get(0)!.total);
    }
  });

  test('cannot steer by rules, and says what to do instead', () => {
    const { a } = makePair();
    assert.throws(() => a.driver.steer(), { code: 'RULES_UNSUPPORTED', remedy: /copy mode/ });
  });

  test('keeps packets away from any queue but the last', () => {
    const pair = makePair(3);
    const { a, b } = pair;
    const socket = new FakeEnds(pair.arena);
    a.driver.setEnds(1, socket);
    const send = (text: string) => {
      socket.post(text);
      a.driver.service(1);
      a.driver.service(3);
      a.ends.get(3)!.post(`ordinary ${text}`);
      a.driver.service(3);
      while (step(pair) > 0);
    };
    assert.equal(b.driver.setSpread(0, false), true);
    assert.equal(b.driver.spreadsTo(0), false);
    send('one');
    assert.equal(b.driver.setSpread(1, false), true);
    send('two');
    assert.equal(b.driver.setSpread(2, false), false, 'something has to take them');
    assert.equal(b.driver.setSpread(0, true), true);
    send('three');
    assert.deepEqual(b.ends.get(0)!.arrived.sort(), ['ordinary three', 'three']);
    assert.deepEqual(b.ends.get(1)!.arrived.sort(), ['one', 'ordinary one']);
    assert.deepEqual(b.ends.get(2)!.arrived.sort(), ['ordinary two', 'two']);
    assert.equal(makePair(1).a.driver.setSpread(0, false), false);
  });

  test('closing gives everything back; the other end loses its carrier', () => {
    const pair = makePair();
    const { arena, a, b } = pair;
    a.driver.service(1);
    b.driver.setEnds(0, undefined);
    const [sender, receiver] = [a.ends.get(1)!, b.ends.get(0)!];
    for (let i = 0; i < 50; i++) sender.post(`${i}`);
    a.driver.service(1);
    a.driver.advance(0, 20);
    const before = arena.freeBytes;
    b.driver.close();
    assert.equal(receiver.free, receiver.total);
    assert.equal(a.driver.up, false);
    while (a.driver.advance(0, 64) > 0);
    assert.equal(sender.sentBack.filter(([, error]) => error === ENETDOWN).length, 30);
    a.driver.close();
    a.driver.close();
    assert.equal(sender.free, sender.total);
    assert.equal(arena.freeBytes, before + 4096);
  });

  test('no such queue is a typed error', () => {
    const { a } = makePair(2);
    assert.throws(() => a.driver.setEnds(3, undefined), { code: 'NO_QUEUE' });
    assert.throws(() => a.driver.service(-1), { code: 'NO_QUEUE' });
  });
});
