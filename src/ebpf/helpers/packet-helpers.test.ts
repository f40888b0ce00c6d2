import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { interpreter } from '../interpreter/interpreter.js';
import { prepareObject } from '../prepare-object.js';
import { assemble } from '../text/assemble.js';
import { createXdpHelpers } from './xdp-helpers.js';

const packet = Uint8Array.from({ length: 64 }, (_, index) => index);

function run(runs: EbpfRuns, body: string) {
  const { executables, maps } = prepareObject(assemble(`.function f\n${body}\nexit`), runs.machine, interpreter);
  const { result, packet: after } = runs.run(executables[0]!, packet);
  return { result: BigInt.asIntN(64, result), packet: after, maps };
}

test('bytes are read from the packet and written to it, within its length', () => {
  const runs = new EbpfRuns();
  const copy = (helper: string, offset: number, bytes: number, memory = 'r10') =>
    run(
      runs,
      `r6 = r1
      *(u64 *)(r10 -8) = 0x55
      *(u64 *)(r10 -16) = 0x66
      r2 = ${offset} ll
      r3 = ${memory}
      r3 += -16
      r4 = ${bytes} ll
      call bpf_xdp_${helper}_bytes
      if r0 s< 0 goto done
      r0 = *(u64 *)(r10 -16)
      done:`,
    );
  assert.equal(copy('load', 3, 8).result, 0x0a09080706050403n);
  assert.equal(copy('load', 60, 4).result, 0x000000003f3e3d3cn + 0n);
  assert.deepEqual([...copy('store', 62, 2).packet.slice(60)], [60, 61, 0x66, 0]);
  assert.deepEqual([...copy('store', 0, 16).packet.slice(7, 17)], [0, 0x55, 0, 0, 0, 0, 0, 0, 0, 16]);
  for (const helper of ['load', 'store']) {
    assert.equal(copy(helper, 61, 4).result, -22n);
    assert.equal(copy(helper, 0, 65).result, -22n);
    assert.equal(copy(helper, 0x10000, 1).result, -14n);
    assert.equal(copy(helper, 0, 0x10000).result, -14n);
    assert.equal(copy(helper, 2 ** 33, 1).result, -14n);
    assert.equal(copy(helper, 0, 4, '4096').result, -14n);
    assert.deepEqual(copy(helper, 61, 4).packet, packet);
  }
  assert.equal(run(runs, 'call bpf_xdp_get_buff_len').result, 64n);
});

test('text is compared with constant text', () => {
  const runs = new EbpfRuns();
  const compare = (text: number, bytes: number) =>
    run(
      runs,
      `*(u64 *)(r10 -8) = ${text}
      *(u64 *)(r10 -16) = 0x636261
      r1 = r10
      r1 += -8
      r2 = ${bytes}
      r3 = r10
      r3 += -16
      call bpf_strncmp`,
    ).result;
  assert.deepEqual([compare(0x636261, 8), compare(0x646261, 2), compare(0x6261, 8)], [0n, 0n, -0x63n]);
  assert.deepEqual([compare(0x646261, 8), compare(0x626261, 8)], [1n, -1n]);
});

test('clock and random numbers can be the caller’s', () => {
  let time = 5_000_000_000;
  const helpers = createXdpHelpers({ nanoseconds: () => time++, random: () => 0xfffffffe });
  const runs = new EbpfRuns({ helpers });
  assert.equal(run(runs, 'call bpf_ktime_get_ns').result, 5_000_000_000n);
  for (const name of ['ktime_get_boot_ns', 'ktime_get_coarse_ns', 'ktime_get_tai_ns']) {
    const expected = BigInt(time);
    assert.equal(run(runs, `call bpf_${name}`).result, expected, name);
  }
  assert.equal(run(runs, 'call bpf_jiffies64').result, 1250n);
  assert.equal(run(runs, 'call bpf_get_prandom_u32').result, 0xfffffffen);
  assert.equal(run(runs, 'r0 = 9\ncall bpf_get_numa_node_id').result, 0n);
});

test('values of other CPUs are looked up', () => {
  const runs = new EbpfRuns({ cpus: 3 });
  const source = (type: string, cpu: number) => `
    .map m ${type} key 4 value 8 entries 2
    .function f
      *(u32 *)(r10 -4) = 1
      r1 = map[m]
      r2 = r10
      r2 += -4
      r3 = ${cpu}
      call bpf_map_lookup_percpu_elem
      if r0 == 0 goto none
      r0 = *(u64 *)(r0 +0)
      exit
    none:
      r0 = 99
      exit`;
  for (const type of ['percpu_array', 'percpu_hash', 'lru_percpu_hash', 'array', 'hash']) {
    for (const cpu of [0, 2, 3, -1]) {
      const { executables, maps } = prepareObject(assemble(source(type, cpu)), runs.machine, interpreter);
      const bytes = type.includes('percpu') ? 24 : 8;
      maps[0]!.update(
        Uint8Array.of(1, 0, 0, 0),
        Uint8Array.from({ length: bytes }, (_, i) => (i % 8 === 0 ? i / 8 + 1 : 0)),
      );
      const expected = type.includes('percpu') && (cpu === 0 || cpu === 2) ? BigInt(cpu + 1) : 99n;
      assert.equal(runs.run(executables[0]!).result, expected, `${type} ${cpu}`);
      maps[0]!.close();
    }
  }
});
