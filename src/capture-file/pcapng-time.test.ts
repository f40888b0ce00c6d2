import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../packet/test-support.js';
import { CapturePacket } from './contract.js';
import { TimestampScale } from './pcapng-time.js';

/** The same in integers of any size. */
function exactly(ticks: bigint, resolution: number): { seconds: number; nanoseconds: number } {
  const exponent = BigInt(resolution & 0x7f);
  const unitsPerSecond = (resolution & 0x80) !== 0 ? 2n ** exponent : 10n ** exponent;
  const nanoseconds = Number(((ticks % unitsPerSecond) * 1_000_000_000n) / unitsPerSecond);
  return { seconds: Number(ticks / unitsPerSecond), nanoseconds };
}

function convert(ticks: bigint, resolution: number, offset = 0): { seconds: number; nanoseconds: number } {
  const packet = new CapturePacket();
  new TimestampScale(resolution, offset).convert(Number(ticks >> 32n), Number(ticks & 0xffffffffn), packet);
  assert.equal(packet.timestamped, true);
  const { seconds, nanoseconds } = packet;
  return { seconds, nanoseconds };
}

test('a real time in all usual units', () => {
  const expected = { seconds: 1_591_863_460, nanoseconds: 344_658_428 };
  assert.deepEqual(convert(1_591_863_460_344_658_428n, 9), expected);
  assert.deepEqual(convert(1_591_863_460_344_658n, 6), { ...expected, nanoseconds: 344_658_000 });
  assert.deepEqual(convert(1_591_863_460_344n, 3), { ...expected, nanoseconds: 344_000_000 });
  assert.deepEqual(convert(1_591_863_460n, 0), { ...expected, nanoseconds: 0 });
  assert.deepEqual(convert(1_591_863_460n, 0x80), { ...expected, nanoseconds: 0 });
  assert.deepEqual(convert((1_591_863_460n << 20n) + 1n, 0x94), { ...expected, nanoseconds: 953 });
  assert.deepEqual(convert((1_591_863_460n << 32n) + (1n << 31n), 0xa0), { ...expected, nanoseconds: 500_000_000 });
});

test('an offset adds seconds', () => {
  assert.deepEqual(convert(1_500_000n, 6, -10), { seconds: -9, nanoseconds: 500_000_000 });
});

test('any count in any unit', () => {
  const random = seeded(31);
  for (let resolution = 0; resolution < 256; resolution++) {
    for (let round = 0; round < 60; round++) {
      const bits = 1 + random(64);
      let ticks = (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32));
      ticks >>= BigInt(64 - bits);
      if (round === 0) ticks = 2n ** 64n - 1n;
      const expected = exactly(ticks, resolution);
      const converted = convert(ticks, resolution);
      assert.equal(converted.seconds, expected.seconds, `${ticks} at ${resolution}`);
      // In units below 2^-64 seconds the last bits of the count are below what is computed with.
      const tolerance = (resolution & 0x7f) > 64 ? 1 : 0;
      const off = expected.nanoseconds - converted.nanoseconds;
      assert.ok(off >= 0 && off <= tolerance, `${ticks} at ${resolution}: ${converted.nanoseconds}`);
    }
  }
});
