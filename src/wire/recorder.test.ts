import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFile } from '../capture-file/test-support.js';
import { seeded } from '../packet/test-support.js';
import { Recorder, type RecorderOptions } from './recorder.js';
import { Collector, randomPackets, Sender, smallArena } from './test-support.js';

const arena = smallArena();
const sender = new Sender(arena);

function recorder(options: RecorderOptions = {}, epochMilliseconds = 0): { recorder: Recorder; next: Collector } {
  const next = new Collector(arena);
  return { recorder: new Recorder(arena, options, next, epochMilliseconds), next };
}

test('a recording holds what was sent, with times to the nanosecond, and passes it on', () => {
  const random = seeded(71);
  const { recorder: sink, next } = recorder({}, 1_763_953_200_123.5);
  const packets = randomPackets(random, 400);
  const expected: object[] = [];
  for (let i = 0, now = 0; i < packets.length; now += random(1e9)) {
    const batch = packets.slice(i, i + 1 + random(64));
    sender.send(sink, batch, now + 0.75);
    const time = 123_500_000 + now;
    for (const data of batch) {
      expected.push({
        data,
        originalLength: data.length / 2,
        seconds: 1_763_953_200 + Math.floor(time / 1e9),
        nanoseconds: time % 1e9,
        timestamped: true,
        interface: 0,
        linkType: 1,
      });
    }
    i += batch.length;
  }
  assert.deepEqual(readFile(sink.take()), { packets: expected, error: undefined });
  assert.deepEqual(next.packets, packets);
  assert.deepEqual(sink.details, { recorded: 400, not_recorded: 0 });
  assert.equal(sink.counters.packets, 400);
  assert.equal(
    sink.counters.bytes,
    packets.reduce((sum, packet) => sum + packet.length / 2, 0),
  );
});

test('each recording begins anew, and an empty one is a file, too', () => {
  const { recorder: sink } = recorder();
  assert.deepEqual(readFile(sink.take()).packets, []);
  sender.send(sink, ['00'.repeat(60)]);
  assert.equal(readFile(sink.take()).packets.length, 1);
  assert.deepEqual(readFile(sink.take()).packets, []);
});

test('from the first packet that does not fit, all are left out and counted, but passed on', () => {
  const { recorder: sink, next } = recorder({ bytes: 4096 });
  const packets = [
    ...randomPackets(seeded(72), 3, 1000).map(() => '11'.repeat(1200)),
    '22'.repeat(1200),
    '33'.repeat(20),
  ];
  sender.send(sink, packets);
  const file = sink.take();
  assert.ok(file.length <= 4096);
  assert.deepEqual(
    readFile(file).packets.map((packet) => packet.data),
    packets.slice(0, 3),
  );
  assert.deepEqual(sink.details, { recorded: 3, not_recorded: 2 });
  assert.deepEqual(next.packets, packets);
  sender.send(sink, packets.slice(3));
  assert.equal(readFile(sink.take()).packets.length, 2);
  // To the byte: 24 of the file's header and 16 in front of each packet.
  sender.send(sink, ['11'.repeat(2000), '22'.repeat(4096 - 24 - 32 - 2000)]);
  assert.equal(sink.take().length, 4096);
  assert.equal(sink.details.not_recorded, 2);
});

test('a snap length cuts what is kept', () => {
  const { recorder: sink } = recorder({ snapLength: 34 });
  sender.send(sink, ['ab'.repeat(1000), 'cd'.repeat(20)]);
  const { packets } = readFile(sink.take());
  assert.deepEqual(
    packets.map(({ data, originalLength }) => [data, originalLength]),
    [
      ['ab'.repeat(34), 1000],
      ['cd'.repeat(20), 20],
    ],
  );
});

test('wrong options are named', () => {
  const wrong: [RecorderOptions, string][] = [
    [{ bytes: 100 }, 'bytes: 100 is not a whole number from 4096 to 1073741824'],
    [{ snapLength: 0 }, 'snapLength: 0 is not a whole number from 1 to 262144'],
  ];
  for (const [options, message] of wrong) assert.throws(() => recorder(options), { code: 'INVALID_OPTION', message });
});
