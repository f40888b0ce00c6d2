import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PacketError } from '../../src/errors.js';
import type { Kernel, Mode } from '../../src/kernel/contract.js';
import { PacketBuffer } from '../../src/packet-buffer/packet-buffer.js';
import { OUTCOME_SENT, OUTCOME_UNKNOWN, PACKET_TRUNCATED, PacketBatch } from '../../src/ring/packet-batch.js';
import { isExclusive, type OpenSocketOptions, openSocket } from '../../src/socket/open-socket.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';
import type { FlowRule } from '../../src/steering/rules.js';
import { NUMBER_OFFSET, readNumberedFrame, writeNumberedFrame } from '../support/frames.js';
import { freeFrames, poolIsWhole } from '../support/pool.js';

/** Two interfaces of one kernel, joined: what one sends the other receives. */
export interface ConformanceFixture {
  readonly kernel: Kernel;
  /** The interface that is tested, and the one at the other end. */
  readonly near: string;
  readonly far: string;
  close(): Promise<void>;
}

export interface ConformanceOptions {
  /** Begins the names of the tests. */
  readonly name: string;
  /** Modes to test at the near end. */
  readonly modes: readonly Mode[];
  /** What the other end works in: a mode that is known to work. */
  readonly farMode: Mode;
  /** A mode whose sockets see packets without taking them away, to listen beside the tested one; absent: none works here. */
  readonly tapMode?: Mode;
  /** Bytes of a frame of the packet buffers; default 2048. */
  readonly frameSize?: number;
  /** Emulated cards: a packet may pass others that had to wait until the receiver had room, and small rings lose some. */
  readonly emulated?: boolean;
  create(): Promise<ConformanceFixture>;
}

/** Packets in a burst: fewer than any queue on the way holds. */
const BURST = 96;
/** Longest time that a packet is waited for. */
const PATIENCE_MILLISECONDS = 2000;
/** How long nothing must come before it is believed that nothing comes. */
const SILENCE_MILLISECONDS = 50;
const ETHERTYPE_OFFSET = 12;

const sizeOf = (number: number): number => [60, 1514, 61, 200, 128][number % 5]!;

/**
 * What every kernel does in every mode, seen through packet sockets only: the soft kernel and a real one are run through the same
 * tests. On a real interface there may be other traffic (neighbour discovery, say), so packets that are not numbered are passed over,
 * and packets come when they come, so everything is waited for.
 */
export function conformance(options: ConformanceOptions): void {
  const { name, modes, farMode, tapMode, frameSize = 2048, emulated = false, create } = options;
  describe(name, () => {
    let fixture: ConformanceFixture;
    let far: PacketSocket;
    before(async () => {
      fixture = await create();
      far = await openAt(fixture.far, { mode: farMode });
    });
    after(async () => {
      await far.close();
      await fixture.close();
    });

    /** As {@link receiveNumbers}; in the numbers' order where the wire may have changed it. */
    const receive: typeof receiveNumbers = async (...wanted) => {
      const numbers = await receiveNumbers(...wanted);
      return emulated ? numbers.sort((a, b) => a - b) : numbers;
    };

    const openAt = (
      interfaceName: string,
      options: Omit<Partial<OpenSocketOptions>, 'mode'> & { readonly mode: Mode },
    ): Promise<PacketSocket> =>
      openSocket({
        kernel: fixture.kernel,
        interface: interfaceName,
        receive: 'all',
        ring: 512,
        buffer: { frames: 2048, frameSize },
        ...(isExclusive(options.mode) && { queue: 0 }),
        ...options,
      });

    for (const mode of modes) {
      const open = (options: Omit<Partial<OpenSocketOptions>, 'mode'> = {}): Promise<PacketSocket> =>
        openAt(fixture.near, { mode, ...options });

      test(`${mode}: a socket says what it got`, async () => {
        await using socket = await open();
        assert.deepEqual(socket.mode, { got: mode, refused: [], exclusive: isExclusive(mode) });
        assert.equal(socket.interface, fixture.near);
        assert.ok(socket.largestPacket >= 1514 && socket.largestPacket <= 1522);
        assert.equal(socket.bytes.buffer, fixture.kernel.arena.u8.buffer);
      });

      test(`${mode}: received packets are whole, in order, and none comes twice`, async () => {
        await using socket = await open();
        for (let first = 0; first < 4 * BURST; first += BURST) {
          await send(far, first, BURST);
          assert.deepEqual(await receive(socket, BURST), range(first, BURST));
        }
        assert.deepEqual(await receive(socket, 1, SILENCE_MILLISECONDS), []);
      });

      test(`${mode}: the headroom in front of received packets is the program's to write to`, async () => {
        const headroom = 128;
        await using socket = await open({ buffer: { frames: 2048, frameSize, headroom } });
        const batch = new PacketBatch(64);
        for (let first = 0; first < 2 * BURST; first += BURST) {
          await send(far, first, BURST);
          const numbers: number[] = [];
          while (numbers.length < BURST) {
            assert.ok(await socket.wait({ timeoutMilliseconds: PATIENCE_MILLISECONDS }), 'packets have not come');
            socket.receive(batch);
            const { offset, size, length } = batch;
            for (let i = 0; i < length; i++) socket.bytes.fill(0xee, offset[i]! - headroom, offset[i]!);
            for (let i = 0; i < length; i++) {
              const number = numberAt(socket, offset[i]!, size[i]!, sizeOf);
              if (number >= 0) numbers.push(number);
            }
            socket.release(batch);
          }
          if (emulated) numbers.sort((a, b) => a - b);
          assert.deepEqual(numbers, range(first, BURST));
        }
      });

      test(`${mode}: sent packets arrive whole, in order, and none twice`, async () => {
        await using socket = await open();
        for (let first = 0; first < 4 * BURST; first += BURST) {
          await send(socket, first, BURST);
          assert.deepEqual(await receive(far, BURST), range(first, BURST));
        }
        assert.deepEqual(await receive(far, 1, SILENCE_MILLISECONDS), []);
      });

      test(`${mode}: what was received can be sent back as it is, changed in place`, async () => {
        await using socket = await open();
        const batch = new PacketBatch(32);
        await send(far, 0, BURST);
        let answered = 0;
        while (answered < BURST && (await socket.wait({ timeoutMilliseconds: PATIENCE_MILLISECONDS }))) {
          socket.receive(batch);
          const numbered = onlyNumbered(socket, batch);
          for (let i = 0; i < batch.length; i++) {
            const at = batch.offset[i]!;
            const number = readNumberedFrame(socket.bytes, at, batch.size[i]!, batch.size[i]!);
            writeNumberedFrame(socket.bytes, at, batch.size[i]!, number + 1000);
          }
          answered += numbered;
          await sendBatch(socket, batch);
        }
        const expected = range(1000, BURST);
        assert.deepEqual(await receive(far, BURST, PATIENCE_MILLISECONDS, (number) => sizeOf(number - 1000)), expected);
      });

      test(`${mode}: packets may be held, unharmed, while others come and go, and released in any order (I10)`, async () => {
        const buffer = newBuffer();
        {
          await using socket = await open({ buffer });
          const held: PacketBatch[] = [];
          for (let first = 0; first < 8 * 16; first += 16) {
            await send(far, first, 16);
            const batch = new PacketBatch(16);
            held.push(await receiveInto(socket, batch, 16));
          }
          await send(far, 500, 64);
          assert.deepEqual(await receive(socket, 64), range(500, 64));
          held.forEach((batch, i) => {
            assert.deepEqual(numbersOf(socket, batch), range(i * 16, 16), 'held packets are as they were');
          });
          for (const i of [3, 0, 7, 5, 1, 6, 2, 4]) socket.release(held[i]!);
          await send(far, 600, 64);
          assert.deepEqual(await receive(socket, 64), range(600, 64));
        }
        assert.ok(poolIsWhole(buffer));
        buffer.close();
      });

      test(`${mode}: packets that are kept do not stop the ring: many laps later none is lost, and the kept ones go out (I10)`, async () => {
        const buffer = newBuffer();
        {
          await using socket = await open({ buffer, ring: emulated ? 256 : 64, blockSize: 8192 });
          const kept = new PacketBatch(64);
          const rest = new PacketBatch(64);
          const expected: number[] = [];
          for (let first = 0; first < 40 * 32; first += 32) {
            await send(far, first, 32);
            const batch = await receiveInto(socket, new PacketBatch(32), 32);
            const numbers = numbersOf(socket, batch);
            expected.push(numbers[7]!);
            if (emulated) numbers.sort((a, b) => a - b);
            assert.deepEqual(numbers, range(first, 32));
            for (let i = 0; i < 32; i++) assert.ok((i === 7 ? kept : rest).append(batch, i));
            assert.equal(socket.hold(kept), kept.length);
            socket.release(rest);
          }
          assert.deepEqual(numbersOf(socket, kept), expected);
          for (let i = 0; i < kept.length; i++) assert.ok(buffer.contains(kept.offset[i]!));
          assert.equal((await socket.statistics()).drops['receive-ring-full'] ?? 0, 0);
          await sendBatch(socket, kept);
          if (emulated) expected.sort((a, b) => a - b);
          assert.deepEqual(await receive(far, expected.length), expected);
        }
        assert.ok(poolIsWhole(buffer));
        buffer.close();
      });

      test(`${mode}: a full ring is a short count; everything is sent in the end`, async () => {
        const buffer = newBuffer();
        {
          await using socket = await open({ ring: 16, buffer });
          const count = 48;
          const batch = new PacketBatch(count);
          let posted = 0;
          for (let number = 0; number < count; ) {
            const got = socket.allocate(batch, count - number);
            for (let i = 0; i < got; i++) writePacket(socket, batch, i, number + i);
            number += got;
            while (batch.length > 0) {
              const before = batch.length;
              const taken = socket.send(batch);
              assert.equal(batch.length, before - taken);
              posted += taken;
              if (taken === 0)
                assert.ok(await socket.wait({ for: 'send', timeoutMilliseconds: PATIENCE_MILLISECONDS }));
            }
            if (got === 0) assert.ok(await socket.wait({ for: 'send', timeoutMilliseconds: PATIENCE_MILLISECONDS }));
          }
          assert.equal(posted, count);
          assert.deepEqual(await receive(far, count), range(0, count));
        }
        assert.ok(poolIsWhole(buffer));
        buffer.close();
      });

      test(`${mode}: each frame that was sent comes back with its outcome, for those who ask (I9)`, async () => {
        const buffer = newBuffer();
        {
          await using socket = await open({ outcomes: true, buffer });
          await send(socket, 0, 40);
          const batch = new PacketBatch(64);
          let back = 0;
          for (let tries = 0; back < 40 && tries < 200; tries++) {
            const count = socket.completions(batch);
            for (let i = 0; i < count; i++) {
              assert.ok(
                batch.outcome[i] === OUTCOME_SENT || batch.outcome[i] === OUTCOME_UNKNOWN,
                `${batch.outcome[i]}`,
              );
            }
            back += count;
            socket.release(batch);
            if (count === 0) await socket.wait({ timeoutMilliseconds: 5 });
          }
          assert.equal(back, 40);
          assert.deepEqual(await receive(far, 40), range(0, 40));
        }
        assert.ok(poolIsWhole(buffer));
        buffer.close();
      });

      test(`${mode}: what can never be sent is refused and counted, and costs neither frame nor neighbour`, async () => {
        const buffer = newBuffer();
        {
          await using socket = await open({ buffer });
          const batch = new PacketBatch(4);
          assert.equal(socket.allocate(batch, 4), 4);
          for (let i = 0; i < 4; i++) writePacket(socket, batch, i, i);
          batch.size[1] = socket.largestPacket + 1;
          batch.size[2] = 0;
          assert.equal(await sendBatch(socket, batch), 4);
          assert.deepEqual(await receive(far, 2), [0, 3]);
          assert.equal((await socket.statistics()).unsendable, 2);
        }
        assert.ok(poolIsWhole(buffer));
        buffer.close();
      });

      test(`${mode}: a sender receives nothing`, async () => {
        await using socket = await open({ receive: 'none' });
        await send(far, 0, 8);
        assert.deepEqual(await receive(socket, 1, SILENCE_MILLISECONDS), []);
        await send(socket, 10, 8);
        assert.deepEqual(await receive(far, 8), range(10, 8));
      });

      if (tapMode !== undefined) {
        test(`${mode}: others ${isExclusive(mode) ? 'do not see what the socket receives' : 'see the packets, too'}`, async () => {
          await using tap = await openAt(fixture.near, { mode: tapMode });
          await using socket = await open();
          await send(far, 0, 32);
          assert.deepEqual(await receive(socket, 32), range(0, 32));
          assert.deepEqual(
            await receive(tap, 32, isExclusive(mode) ? SILENCE_MILLISECONDS : PATIENCE_MILLISECONDS),
            isExclusive(mode) ? [] : range(0, 32),
          );
        });
      }

      test(`${mode}: waiting ends when a packet comes, when the time is over, and when it is aborted`, async () => {
        await using socket = await open();
        await receive(socket, 1, 1); // what was there already
        const waiting = socket.wait({ timeoutMilliseconds: PATIENCE_MILLISECONDS });
        await send(far, 0, 1);
        assert.equal(await waiting, true);
        assert.deepEqual(await receive(socket, 1), [0]);
        const reason = new Error('enough');
        await assert.rejects(socket.wait({ signal: AbortSignal.abort(reason) }), reason);
        const controller = new AbortController();
        const aborted = waitForever(socket, controller.signal);
        setTimeout(() => controller.abort(reason), 10);
        await assert.rejects(aborted, reason);
        await send(far, 1, 1);
        for (const strategy of ['hybrid', 'busy'] as const) {
          assert.equal(await socket.wait({ strategy, timeoutMilliseconds: PATIENCE_MILLISECONDS }), true, strategy);
        }
        assert.deepEqual(await receive(socket, 1), [1]);
      });

      test(`${mode}: iterating over packets ends with its signal, and no frame is lost`, async () => {
        const buffer = newBuffer();
        {
          await using socket = await open({ buffer });
          const controller = new AbortController();
          await send(far, 0, 24);
          const seen: number[] = [];
          for await (const { data, offset, size } of socket.packets({ signal: controller.signal })) {
            assert.equal(data.length, size);
            const number = numberAt(socket, offset, size, sizeOf);
            if (number >= 0) seen.push(number);
            if (seen.length === 24) controller.abort();
          }
          assert.deepEqual(seen, range(0, 24));
        }
        assert.ok(poolIsWhole(buffer));
        buffer.close();
      });

      test(`${mode}: packets that do not fit are refused at opening, or cut and marked as such`, async () => {
        if (mode !== 'v2' && mode !== 'v3') {
          const buffer = { frames: 64, headroom: 1024 };
          await assert.rejects(open({ buffer }), withCode('FRAME_TOO_SMALL'));
          const sender = open({ buffer, receive: 'none' });
          // Has no frames to fill; but on Linux a queue in zero-copy is the socket's for receiving, too: see docs/kernels.md.
          if (fixture.kernel.name === 'soft' || mode !== 'xdp-zc') await (await sender).close();
          else await assert.rejects(sender, withCode('FRAME_TOO_SMALL'));
          return;
        }
        await using socket = await open({ ringFrameSize: 256 });
        await send(far, 1, 1);
        if (mode === 'v3') {
          // The smallest block has room for any packet of an ordinary MTU.
          assert.deepEqual(await receive(socket, 1), [1]);
          assert.equal((await socket.statistics()).truncated, 0);
          return;
        }
        const batch = new PacketBatch(1);
        do {
          socket.release(batch);
          assert.ok(await socket.wait({ timeoutMilliseconds: PATIENCE_MILLISECONDS }), 'the packet has not come');
          socket.receive(batch);
        } while (batch.flags[0] !== PACKET_TRUNCATED); // other traffic is short
        assert.equal(batch.originalSize[0], 1514);
        assert.ok(batch.size[0]! < 256);
        socket.release(batch);
        assert.equal((await socket.statistics()).truncated, 1);
      });

      test(`${mode}: statistics add up`, async () => {
        await using socket = await open();
        await send(far, 0, 50);
        assert.deepEqual(await receive(socket, 50), range(0, 50));
        await send(socket, 0, 30);
        assert.deepEqual(await receive(far, 30), range(0, 30));
        // Frames may come back a little later than the packets arrive.
        let statistics = await socket.statistics();
        for (let i = 0; i < 100 && statistics.kernelSent < 30; i++) {
          await socket.wait({ timeoutMilliseconds: 5 });
          await send(socket, 0, 0);
          statistics = await socket.statistics();
        }
        assert.ok(statistics.received >= 50 && statistics.kernelReceived >= 50);
        assert.deepEqual([statistics.sent, statistics.kernelSent], [30, 30]);
        assert.deepEqual(
          Object.entries(statistics.drops).filter(([, count]) => count > 0),
          [],
        );
      });

      test(`${mode}: opening, working and closing again and again returns every frame`, async () => {
        const buffer = newBuffer();
        // A real driver in zero-copy sends nothing after the close: see docs/kernels.md.
        const sentOnlyBefore = fixture.kernel.name === 'linux' && mode === 'xdp-zc';
        for (let round = 0; round < 5; round++) {
          const arrived = async () => assert.deepEqual(await receive(far, 10), range(round * 10, 10));
          const socket = await open({ buffer });
          await send(far, round * 10, 10);
          assert.deepEqual(await receive(socket, 10), range(round * 10, 10));
          await send(socket, round * 10, 10);
          if (sentOnlyBefore) await arrived();
          await send(far, 900, 10); // on their way, or in the ring, when the socket is closed
          await socket.close();
          await socket.close();
          assert.ok(poolIsWhole(buffer), `round ${round}: ${freeFrames(buffer)} of ${buffer.frames}`);
          if (!sentOnlyBefore) await arrived();
        }
        buffer.close();
      });

      test(`${mode}: after closing, everything says so, and nothing breaks`, async () => {
        const socket = await open();
        await socket.close();
        const batch = new PacketBatch(4);
        assert.deepEqual([socket.receive(batch), socket.allocate(batch), socket.send(batch)], [0, 0, 0]);
        assert.equal(await socket.wait(), false);
        await assert.rejects(socket.statistics(), withCode('SOCKET_CLOSED'));
      });

      test(`${mode}: bad entries of a batch are counted, not thrown, and the good ones are sent`, async () => {
        const buffer = newBuffer();
        {
          await using socket = await open({ buffer });
          const bytes = fixture.kernel.arena.u8.length;
          const bad = new PacketBatch(8);
          // Offsets of nobody: outside the arena, at its ends, negative; sizes that no packet has.
          bad.offset.set([-4096, bytes, bytes - 10, 2 ** 31 - 1, 0, 0, 0, 0]);
          bad.size.set([60, 60, 1514, 60, -1, 2 ** 31 - 1, 0, 65536]);
          bad.length = 8;
          assert.equal(socket.send(bad), 8);
          assert.deepEqual([bad.length, bad.origin], [0, null]);
          await send(socket, 7, 3);
          assert.deepEqual(await receive(far, 3), [7, 8, 9]);
          const { unsendable, sent, drops } = await socket.statistics();
          assert.deepEqual(
            { unsendable, sent, invalid: drops['invalid-descriptor'] ?? 0 },
            { unsendable: 8, sent: 3, invalid: 0 },
          );
        }
        assert.ok(poolIsWhole(buffer));
        buffer.close();
      });

      test(`${mode}: packets that nobody takes in time are lost and counted: received and dropped make offered`, async () => {
        await using socket = await open({ ring: 8, blockSize: 4096, ringFrameSize: 2048 });
        const offered = 96;
        await send(far, 0, offered);
        await receive(far, 1, SILENCE_MILLISECONDS); // whatever is on its way has arrived
        const numbers = await receive(socket, offered, SILENCE_MILLISECONDS);
        // Between two NICs whose cable knows pause frames nothing is lost.
        assert.ok(
          numbers.length > 0 && (mode.endsWith('-zc') || numbers.length < offered),
          `${numbers.length} received`,
        );
        assert.deepEqual(
          numbers,
          [...new Set(numbers)].sort((a, b) => a - b),
        );
        const { kernelReceived, received, drops } = await socket.statistics();
        assert.deepEqual([received, kernelReceived], [numbers.length, numbers.length]);
        // In zero-copy a packet without a frame is lost in the device, which counts for itself.
        if (!mode.endsWith('-zc')) {
          const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
          assert.equal(numbers.length + dropped, offered);
        }
        await send(far, 500, 8);
        assert.deepEqual(await receive(socket, 8), range(500, 8), 'and it goes on');
      });

      test(`${mode}: a socket is told to receive nothing, and all again, while packets come`, async () => {
        await using socket = await open();
        await send(far, 0, 8);
        assert.deepEqual(await receive(socket, 8), range(0, 8));
        if (fixture.kernel.name === 'soft' && mode.endsWith('-zc')) {
          // Its only queue writes into this socket's frames: see docs/kernels.md.
          await assert.rejects(socket.steer('none'), withCode('QUEUE_SHARED'));
          return;
        }
        await socket.steer('none');
        await send(far, 100, 8);
        assert.deepEqual(await receive(socket, 1, SILENCE_MILLISECONDS), []);
        await socket.steer('none');
        await socket.steer('all');
        await send(far, 200, 8);
        assert.deepEqual(await receive(socket, 8), range(200, 8));
      });

      test(`${mode}: rules have exceptions: the most specific one decides, and what it drops nobody gets`, async () => {
        const numbered = { etherType: 0x88b5 } as const;
        const rules: FlowRule[] = [{ to: 'socket' }, { ...numbered, to: 'stack' }];
        const opening = open({ receive: rules });
        if (fixture.kernel.name === 'soft' && mode.endsWith('-zc')) {
          // No flow director, or no other queue: see docs/kernels.md.
          await assert.rejects(opening, withCode('QUEUE_SHARED'));
          return;
        }
        await using socket = await opening;
        await send(far, 0, 8);
        assert.deepEqual(await receive(socket, 1, SILENCE_MILLISECONDS), []);
        await socket.steer([...rules, { ...numbered, bucket: [0, 2] }]);
        await send(far, 100, 8);
        assert.deepEqual(await receive(socket, 8), range(100, 8), 'what is not IP is in bucket 0');
        const dropping: FlowRule[] = [{ to: 'socket' }, { ...numbered, to: 'drop' }];
        if (!isExclusive(mode)) {
          await assert.rejects(socket.steer(dropping), withCode('RULES_UNSUPPORTED', /receive\[1\]\.to.*copies/));
          return;
        }
        await socket.steer(dropping);
        await using tap = tapMode && (await openAt(fixture.near, { mode: tapMode }));
        await send(far, 200, 8);
        assert.deepEqual(await receive(socket, 1, SILENCE_MILLISECONDS), []);
        if (tap !== undefined) assert.deepEqual(await receive(tap, 1, SILENCE_MILLISECONDS), []);
        assert.equal((await socket.statistics()).drops.rule, 8);
      });

      test(`${mode}: closing with packets received, held, written and on their way gives every frame back`, async () => {
        const buffer = newBuffer();
        const socket = await open({ buffer, outcomes: true });
        await send(far, 0, 64);
        const held = await receiveInto(socket, new PacketBatch(8), 8);
        const written = new PacketBatch(16);
        assert.equal(socket.allocate(written, 16), 16);
        for (let i = 0; i < 16; i++) writePacket(socket, written, i, i);
        const waiting = socket.wait({ for: 'receive' });
        const posted = new PacketBatch(16);
        assert.equal(socket.allocate(posted, 16), 16);
        for (let i = 0; i < 16; i++) writePacket(socket, posted, i, 300 + i);
        socket.send(posted);
        await socket.close();
        await waiting;
        socket.release(held);
        socket.release(written);
        socket.release(posted);
        assert.ok(poolIsWhole(buffer), `${freeFrames(buffer)} of ${buffer.frames}`);
        buffer.close();
        await receive(far, BURST, SILENCE_MILLISECONDS); // what was sent before the close
      });

      test(`${mode}: one packet buffer for both ends: frames of one are sent at the other`, async () => {
        const buffer = newBuffer();
        await far.close();
        try {
          await using near = await open({ buffer });
          await using other = await openAt(fixture.far, { mode, buffer });
          await send(other, 0, 40);
          const batch = await receiveInto(near, new PacketBatch(40), 40);
          const movable = near.movable(batch);
          assert.equal(movable, mode !== 'v2' && mode !== 'v3');
          await sendBatch(near, batch);
          assert.deepEqual(await receive(other, 40), range(0, 40));
          assert.equal((await near.statistics()).copied, movable ? 0 : 40);
        } finally {
          far = await openAt(fixture.far, { mode: farMode });
        }
        assert.ok(poolIsWhole(buffer));
        buffer.close();
      });
    }

    test('what is not there or cannot be is a typed error that says so', async () => {
      const [mode] = modes;
      const near = { mode: mode! };
      await assert.rejects(openAt('tp4-nowhere', near), withCode('NO_INTERFACE', /tp4-nowhere/));
      await assert.rejects(openAt(fixture.near, { ...near, ring: 100 }), withCode('INVALID_OPTION', /ring: 100/));
      await assert.rejects(openAt(fixture.near, { ...near, receive: [] }), withCode('INVALID_OPTION', /receive/));
      for (const exclusive of modes.filter(isExclusive)) {
        await assert.rejects(
          openAt(fixture.near, { mode: exclusive, queue: 999 }),
          withCode('NO_QUEUE', /999/),
          exclusive,
        );
        await assert.rejects(
          openAt(fixture.near, { mode: exclusive, exclusive: false }),
          withCode('MODE_REFUSED'),
          exclusive,
        );
      }
    });

    test('a refused socket leaves nothing behind', async () => {
      const free = fixture.kernel.arena.freeBytes;
      for (const mode of modes.filter(isExclusive)) {
        await assert.rejects(openAt(fixture.near, { mode, queue: 999 }), PacketError);
      }
      await assert.rejects(openAt('tp4-nowhere', { mode: modes[0]! }), PacketError);
      assert.equal(fixture.kernel.arena.freeBytes, free);
    });

    function newBuffer(): PacketBuffer {
      return PacketBuffer.create({ arena: fixture.kernel.arena, frames: 2048, frameSize });
    }
  });
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

function withCode(code: string, text = /./) {
  return (error: unknown) => error instanceof PacketError && error.code === code && text.test(error.message);
}

/** Writes packet `number` into entry `i` of an allocated batch. */
function writePacket(socket: PacketSocket, batch: PacketBatch, i: number, number: number): void {
  assert.ok(batch.size[i]! >= 1514, 'room for any packet');
  batch.size[i] = sizeOf(number);
  writeNumberedFrame(socket.bytes, batch.offset[i]!, batch.size[i]!, number);
}

/** Sends all of a batch, waiting for room. Returns how many were taken. */
async function sendBatch(socket: PacketSocket, batch: PacketBatch): Promise<number> {
  let sent = 0;
  while (batch.length > 0) {
    const taken = socket.send(batch);
    sent += taken;
    if (taken > 0) continue;
    assert.ok(await socket.wait({ for: 'send', timeoutMilliseconds: PATIENCE_MILLISECONDS }), 'no room to send');
  }
  return sent;
}

async function send(socket: PacketSocket, first: number, count: number): Promise<void> {
  const batch = new PacketBatch(Math.max(1, count));
  for (let number = first; number < first + count; ) {
    const got = socket.allocate(batch, first + count - number);
    for (let i = 0; i < got; i++) writePacket(socket, batch, i, number + i);
    number += got;
    await sendBatch(socket, batch);
    if (got === 0)
      assert.ok(await socket.wait({ for: 'send', timeoutMilliseconds: PATIENCE_MILLISECONDS }), 'nothing to write in');
  }
  socket.send(batch); // empty: takes notice of what came back
}

function isNumbered(socket: PacketSocket, offset: number): boolean {
  return socket.bytes[offset + ETHERTYPE_OFFSET] === 0x88 && socket.bytes[offset + ETHERTYPE_OFFSET + 1] === 0xb5;
}

/** The number of a packet, checked in length and content; -1 for somebody else's. */
function numberAt(socket: PacketSocket, offset: number, size: number, expected: (number: number) => number): number {
  if (!isNumbered(socket, offset)) return -1;
  let number = 0;
  for (let i = 0; i < 4; i++) number = (number << 8) | socket.bytes[offset + NUMBER_OFFSET + i]!;
  assert.equal(readNumberedFrame(socket.bytes, offset, size, expected(number)), number, `packet ${number} is damaged`);
  return number;
}

function numbersOf(socket: PacketSocket, batch: PacketBatch): number[] {
  return Array.from({ length: batch.length }, (_, i) => numberAt(socket, batch.offset[i]!, batch.size[i]!, sizeOf));
}

/** Receives until `count` numbered packets are there, or none has come for so long. */
async function receiveNumbers(
  socket: PacketSocket,
  count: number,
  timeoutMilliseconds: number = PATIENCE_MILLISECONDS,
  expected = sizeOf,
): Promise<number[]> {
  const batch = new PacketBatch(32);
  const seen: number[] = [];
  while (seen.length < count) {
    if (socket.receive(batch) === 0) {
      if (!(await socket.wait({ timeoutMilliseconds }))) break;
      continue;
    }
    for (let i = 0; i < batch.length; i++) {
      const number = numberAt(socket, batch.offset[i]!, batch.size[i]!, expected);
      if (number >= 0) seen.push(number);
    }
    socket.release(batch);
  }
  return seen;
}

/** Drops what is not numbered from a batch, releasing it. Returns what is left. */
function onlyNumbered(socket: PacketSocket, batch: PacketBatch): number {
  const others = new PacketBatch(batch.capacity);
  others.origin = batch.origin;
  let kept = 0;
  for (let i = 0; i < batch.length; i++) {
    if (isNumbered(socket, batch.offset[i]!)) {
      batch.offset[kept] = batch.offset[i]!;
      batch.size[kept] = batch.size[i]!;
      batch.flags[kept++] = batch.flags[i]!;
    } else {
      others.offset[others.length++] = batch.offset[i]!;
    }
  }
  batch.length = kept;
  socket.release(others);
  return kept;
}

/** Receives exactly `count` numbered packets into one batch, which is held. */
async function receiveInto(socket: PacketSocket, into: PacketBatch, count: number): Promise<PacketBatch> {
  let length = 0;
  while (length < count) {
    const batch = new PacketBatch(count - length);
    if (socket.receive(batch) === 0) {
      assert.ok(
        await socket.wait({ timeoutMilliseconds: PATIENCE_MILLISECONDS }),
        `${length} of ${count} packets came`,
      );
      continue;
    }
    into.origin = batch.origin;
    onlyNumbered(socket, batch);
    for (let i = 0; i < batch.length; i++) {
      into.offset[length] = batch.offset[i]!;
      into.size[length] = batch.size[i]!;
      into.flags[length++] = batch.flags[i]!;
    }
  }
  into.length = length;
  return into;
}

/** Waits until aborted, whatever comes meanwhile. */
async function waitForever(socket: PacketSocket, signal: AbortSignal): Promise<void> {
  const batch = new PacketBatch(32);
  for (;;) {
    await socket.wait({ signal });
    socket.receive(batch);
    socket.release(batch);
  }
}
