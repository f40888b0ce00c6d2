import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { Random } from '../../../test/support/random.js';
import { CONTROL_CPU, type Executable } from '../execution.js';
import { interpreter } from '../interpreter/interpreter.js';
import { prepareObject } from '../prepare-object.js';
import { assemble } from '../text/assemble.js';
import type { EbpfMap, MapDefinition, RecordSource } from './contract.js';
import { createMap } from './create-map.js';
import { RingBufferMap } from './ring-buffer-map.js';

type Records = EbpfMap & RecordSource;

function prepare(runs: EbpfRuns, source: string): { program: Executable; records: Records } {
  const { executables, maps } = prepareObject(assemble(source), runs.machine, interpreter);
  return { program: executables[0]!, records: maps[0] as Records };
}

const RING = '.map ring ringbuf entries 4096';

test('records of a ring buffer come in their order; what is discarded does not', () => {
  const runs = new EbpfRuns();
  const { program, records } = prepare(
    runs,
    `${RING}
    .function put
      r6 = *(u32 *)(r1 +0)
      r7 = *(u8 *)(r6 +0)
      r1 = map[ring]
      r2 = 12
      r3 = 0
      call bpf_ringbuf_reserve
      if r0 == 0 goto none
      *(u64 *)(r0 +0) = r7
      *(u32 *)(r0 +8) = 99
      r1 = r0
      r2 = 0
      r3 = r7
      r3 &= 1
      if r3 == 0 goto keep
      call bpf_ringbuf_discard
      r0 = 1
      exit
    keep:
      call bpf_ringbuf_submit
      r0 = 2
      exit
    none:
      r0 = 3
      exit`,
  );
  assert.equal(records.read(), undefined);
  const results = [4, 5, 6].map((first) => runs.run(program, new Uint8Array(64).fill(first)).result);
  assert.deepEqual(results, [2n, 1n, 2n]);
  assert.deepEqual(records.read(), Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0));
  assert.deepEqual(records.read()![0], 6);
  assert.equal(records.read(), undefined);
  // A record takes 24 bytes, and the ring is never quite full: 170 of them.
  const many = Array.from({ length: 200 }, () => runs.run(program, new Uint8Array(64)).result);
  assert.deepEqual([many.filter((result) => result === 2n).length, many[170], records.lost], [170, 3n, 30]);
  let count = 0;
  while (records.read() !== undefined) count++;
  assert.equal(count, 170);
});

test('a ring buffer tells where it stands', () => {
  const runs = new EbpfRuns();
  const query = (which: number) => `r1 = map[ring]
      r2 = ${which}
      call bpf_ringbuf_query
      r6 <<= 16
      r6 |= r0`;
  const { program, records } = prepare(
    runs,
    `${RING}
    .function ask
      r6 = 0
      *(u64 *)(r10 -8) = 7
      r1 = map[ring]
      r2 = r10
      r2 += -8
      r3 = 8
      r4 = 1
      call bpf_ringbuf_output
      if r0 != 0 goto refused
      ${[3, 2, 1, 0].map(query).join('\n')}
      r0 = r6
    refused:
      exit`,
  );
  assert.equal(runs.run(program).result, 0x0010_0000_1000_0010n);
  assert.equal(records.read()![0], 7);
  assert.equal(runs.run(program).result, 0x0020_0010_1000_0010n);
});

test('a ring buffer holds what a list holds, over many records of all lengths', () => {
  const random = new Random(3);
  const { machine, arena } = new EbpfRuns();
  const definition: MapDefinition = {
    name: 'r',
    type: 'ringbuf',
    keySize: 0,
    valueSize: 0,
    maxEntries: 4096,
    flags: 0,
  };
  const ring = createMap(machine, definition) as Records & RingBufferMap;
  assert.ok(ring instanceof RingBufferMap);
  const list: Uint8Array[] = [];
  let used = 0;
  const room = (bytes: number) => Math.ceil(bytes / 8) * 8 + 8;
  for (let i = 0; i < 20_000; i++) {
    if (random.oneIn(2)) {
      const expected = list.shift();
      if (expected !== undefined) used -= room(expected.length);
      assert.deepEqual(ring.read(), expected, `step ${i}`);
      continue;
    }
    const record = new Uint8Array(random.oneIn(10) ? random.below(4096) : random.below(64));
    random.fill(record, 0, record.length);
    const at = ring.reserve(record.length);
    assert.equal(at !== 0, used + room(record.length) < 4096, `step ${i}`);
    if (at === 0) continue;
    arena.u8.set(record, at);
    ring.release(at, false);
    list.push(record);
    used += room(record.length);
  }
});

test('records that nobody can have reserved, or that a program has left behind, do no harm', () => {
  const runs = new EbpfRuns();
  const { program, records } = prepare(
    runs,
    `${RING}
    .function leave
      r6 = r1
      r1 = map[ring]
      r2 = 4
      r3 = 0
      call bpf_ringbuf_reserve
      r6 = r0
      r1 = r6
      r1 += 4
      r2 = 0
      call bpf_ringbuf_submit
      r1 = r6
      r1 += 4096
      r2 = 0
      call bpf_ringbuf_submit
      r1 = r10
      r2 = 0
      call bpf_ringbuf_submit
      r1 = -1
      r2 = 0
      call bpf_ringbuf_discard
      r1 = map[ring]
      r2 = 5000
      r3 = 0
      call bpf_ringbuf_reserve
      r7 = r0
      r1 = map[ring]
      r2 = 0x1ffffffff ll
      r3 = 0
      call bpf_ringbuf_reserve
      r7 |= r0
      r1 = map[ring]
      r2 = 8
      r3 = 1
      call bpf_ringbuf_reserve
      r7 |= r0
      r0 = r7
      exit`,
  );
  assert.equal(runs.run(program).result, 0n);
  assert.equal(records.read(), undefined);
  const ring = records as RecordSource & RingBufferMap;
  ring.release(ring.reserve(8), false);
  assert.equal(ring.read()!.length, 8);
});

const OUTPUT = (flags: string) => `
  .map events perf_event_array key 4 value 4 entries 2
  .function put
    *(u64 *)(r10 -8) = 0x11223344
    r2 = map[events]
    r3 = ${flags} ll
    r4 = r10
    r4 += -8
    r5 = 8
    call bpf_perf_event_output
    exit`;

test('events carry data and the beginning of the packet', () => {
  const runs = new EbpfRuns({ cpus: 2 });
  const packet = Uint8Array.from({ length: 64 }, (_, index) => index);
  const put = (flags: string) => {
    const { program, records } = prepare(runs, OUTPUT(flags));
    return { result: BigInt.asIntN(64, runs.run(program, packet).result), record: records.read() };
  };
  const data = [0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0];
  assert.deepEqual(put('0xffffffff'), { result: 0n, record: Uint8Array.of(...data) });
  assert.deepEqual(put('0x4ffffffff'), { result: 0n, record: Uint8Array.of(...data, 0, 1, 2, 3) });
  assert.deepEqual(put('0x41ffffffff'), { result: -14n, record: undefined });
  assert.deepEqual(put('0x100000ffffffff'), { result: -22n, record: undefined });
  assert.deepEqual(put('2'), { result: -7n, record: undefined });
  assert.deepEqual(put('1'), { result: -95n, record: undefined });
  runs.arena.i32[(runs.machine.control >> 2) + CONTROL_CPU] = 1;
  assert.deepEqual(put('1'), { result: 0n, record: Uint8Array.of(...data) });
});

test('events that find no room are counted, and the others stay', () => {
  const runs = new EbpfRuns();
  const { program, records } = prepare(runs, OUTPUT('0x40ffffffff'));
  const packet = Uint8Array.from({ length: 64 }, (_, index) => index);
  let put = 0;
  while (runs.run(program, packet).result === 0n) put++;
  assert.ok(put > 1000);
  assert.equal(records.lost, 1);
  for (let i = 0; i < put + 500; i++) {
    const record = records.read()!;
    assert.deepEqual([record.length, record[8 + 63]], [72, 63], `record ${i}`);
    assert.equal(runs.run(program, packet).result, 0n);
  }
});
