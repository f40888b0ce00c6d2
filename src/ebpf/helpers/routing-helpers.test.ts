import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { PacketError } from '../../errors.js';
import { interpreter } from '../interpreter/interpreter.js';
import { prepareObject } from '../prepare-object.js';
import type { RoutingFacts } from '../routing/contract.js';
import { RoutingTable } from '../routing/routing-table.js';
import { assemble } from '../text/assemble.js';
import { createXdpHelpers } from './xdp-helpers.js';

const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last);
const v4 = (...parts: number[]) => Uint8Array.of(...parts);
const v6 = (first: number, last: number) => Uint8Array.of(0x20, first, ...new Uint8Array(13), last);

const FACTS: RoutingFacts = {
  interfaces: [
    { index: 1, mac: mac(1), mtu: 1500 },
    { index: 2, mac: mac(2), mtu: 1400 },
    { index: 3, mac: mac(3), mtu: 1500, forwards: false },
  ],
  routes: [
    { address: v4(0, 0, 0, 0), length: 0, interface: 2, gateway: v4(10, 0, 0, 254) },
    { address: v4(10, 1, 0, 0), length: 16, interface: 1, metric: 20 },
    { address: v4(10, 1, 0, 0), length: 16, interface: 2, metric: 10, source: v4(10, 1, 0, 9), mtu: 1000 },
    { address: v4(10, 1, 0, 0), length: 16, interface: 1, metric: 30 },
    { address: v4(10, 2, 0, 0), length: 16, kind: 'blackhole' },
    { address: v4(10, 3, 0, 0), length: 16, kind: 'unreachable' },
    { address: v4(10, 4, 0, 0), length: 16, kind: 'prohibit' },
    { address: v4(10, 5, 0, 1), length: 32, kind: 'local' },
    { address: v6(1, 0), length: 64, interface: 1 },
  ],
  neighbours: [
    { interface: 2, address: v4(10, 0, 0, 254), mac: mac(0x54) },
    { interface: 2, address: v4(10, 1, 0, 7), mac: mac(0x57) },
    { interface: 1, address: v6(1, 7), mac: mac(0x67) },
  ],
};

const SOURCE = (flags: number, size: number) => `
  .map parameters array key 4 value 64 entries 1
  .function look
    r2 = map[parameters][0]+0
    r3 = ${size}
    r4 = ${flags}
    call bpf_fib_lookup
    exit`;

interface Question {
  readonly family?: number;
  readonly length?: number;
  readonly from?: number;
  readonly destination: Uint8Array;
  readonly flags?: number;
  readonly size?: number;
}

function ask(routes: RoutingTable, { family, length = 0, from = 1, destination, flags = 0, size = 64 }: Question) {
  const runs = new EbpfRuns({ helpers: createXdpHelpers({ routes }) });
  const { executables, maps } = prepareObject(assemble(SOURCE(flags, size)), runs.machine, interpreter);
  const parameters = new Uint8Array(64);
  const view = new DataView(parameters.buffer);
  parameters[0] = family ?? (destination.length === 4 ? 2 : 10);
  view.setUint16(6, length, true);
  view.setUint32(8, from, true);
  parameters.set(destination, 32);
  maps[0]!.update(new Uint8Array(4), parameters);
  const result = Number(BigInt.asIntN(64, runs.run(executables[0]!).result));
  const after = maps[0]!.lookup(new Uint8Array(4))!;
  const told = new DataView(after.buffer);
  return {
    result,
    mtu: told.getUint16(6, true),
    to: told.getUint32(8, true),
    metric: told.getUint32(12, true),
    source: [...after.slice(16, 20)],
    next: [...after.slice(32, 32 + destination.length)],
    sourceMac: after[57],
    destinationMac: after[63],
  };
}

test('a lookup tells interface, next hop and hardware addresses', () => {
  const routes = new RoutingTable(FACTS);
  const far = ask(routes, { destination: v4(8, 8, 8, 8) });
  assert.deepEqual(far, {
    result: 0,
    mtu: 1400,
    to: 2,
    metric: 0,
    source: [0, 0, 0, 0],
    next: [10, 0, 0, 254],
    sourceMac: 2,
    destinationMac: 0x54,
  });
  const near = ask(routes, { destination: v4(10, 1, 0, 7), length: 1000, flags: 16 });
  assert.deepEqual([near.result, near.mtu, near.metric, near.source], [0, 1000, 10, [10, 1, 0, 9]]);
  assert.deepEqual([near.next, near.destinationMac], [[10, 1, 0, 7], 0x57]);
  const six = ask(routes, { destination: v6(1, 7) });
  assert.deepEqual([six.result, six.to, six.destinationMac], [0, 1, 0x67]);
});

test('a lookup says why a packet is not forwarded', () => {
  const routes = new RoutingTable(FACTS);
  const result = (destination: Uint8Array, parts: Partial<Question> = {}) =>
    ask(routes, { destination, ...parts }).result;
  assert.deepEqual(
    [2, 3, 4].map((second) => result(v4(10, second, 0, 1))),
    [1, 2, 3],
  );
  assert.equal(result(v4(10, 5, 0, 1)), 4);
  assert.equal(result(v6(2, 0)), 4);
  assert.equal(result(v4(8, 8, 8, 8), { from: 3 }), 5);
  assert.deepEqual([result(v4(10, 1, 0, 8)), result(v4(10, 1, 0, 8), { flags: 4 })], [7, 0]);
  const long = ask(routes, { destination: v4(10, 1, 0, 7), length: 1001 });
  assert.deepEqual([long.result, long.mtu, long.to], [8, 1000, 1]);
  assert.equal(result(v4(8, 8, 8, 8), { flags: 16 }), 9);
  assert.equal(result(v4(8, 8, 8, 8), { from: 9 }), -19);
  assert.equal(result(v4(8, 8, 8, 8), { family: 7 }), -97);
  for (const parts of [{ flags: 2 }, { flags: 64 }, { flags: -1 }, { size: 63 }, { size: 0 }]) {
    assert.equal(result(v4(8, 8, 8, 8), parts), -22);
  }
});

test('a table is replaced as a whole, or not at all', () => {
  const routes = new RoutingTable();
  assert.equal(ask(routes, { destination: v4(8, 8, 8, 8) }).result, -19);
  routes.replace(FACTS);
  assert.equal(ask(routes, { destination: v4(8, 8, 8, 8) }).result, 0);
  const interfaces = FACTS.interfaces!;
  const wrong: RoutingFacts[] = [
    { interfaces: [{ index: 0, mac: mac(1), mtu: 1500 }] },
    { interfaces: [{ index: 1, mac: v4(1, 2, 3, 4), mtu: 1500 }] },
    { interfaces, routes: [{ address: v4(1, 2), length: 0, interface: 1 }] },
    { interfaces, routes: [{ address: v4(1, 2, 3, 4), length: 33, interface: 1 }] },
    { interfaces, routes: [{ address: v4(1, 2, 3, 4), length: 32, interface: 4 }] },
    { interfaces, routes: [{ address: v4(1, 2, 3, 4), length: 32 }] },
    { interfaces, routes: [{ address: v4(1, 2, 3, 4), length: 32, interface: 1, gateway: v6(1, 1) }] },
    { interfaces, neighbours: [{ interface: 9, address: v4(1, 2, 3, 4), mac: mac(1) }] },
  ];
  for (const facts of wrong) {
    assert.throws(
      () => routes.replace(facts),
      (error: unknown) => error instanceof PacketError && error.code === 'INVALID_OPTION',
    );
  }
  assert.equal(ask(routes, { destination: v4(8, 8, 8, 8) }).result, 0);
});

test('a packet is held against the MTU of the interface that it leaves by', () => {
  const runs = new EbpfRuns({ helpers: createXdpHelpers({ routes: new RoutingTable(FACTS) }) });
  const check = (index: number, named: number, longer: number, flags = 0) => {
    const source = `
      .map length array key 4 value 4 entries 1
      .function check
        r2 = ${index}
        r3 = map[length][0]+0
        *(u32 *)(r3 +0) = ${named}
        r4 = ${longer}
        r5 = ${flags}
        call bpf_check_mtu
        exit`;
    const { executables, maps } = prepareObject(assemble(source), runs.machine, interpreter);
    const { result } = runs.run(executables[0]!, new Uint8Array(64));
    const told = maps[0]!.lookup(new Uint8Array(4))!;
    return [Number(BigInt.asIntN(64, result)), told[0]! | (told[1]! << 8)];
  };
  assert.deepEqual(
    [check(2, 0, 0), check(2, 0, 1350), check(2, 0, 1351)],
    [
      [0, 1400],
      [0, 1400],
      [1, 1400],
    ],
  );
  assert.deepEqual(
    [check(2, 1400, 0), check(2, 1401, 0), check(2, 1401, -1)],
    [
      [0, 1400],
      [1, 1400],
      [0, 1400],
    ],
  );
  assert.deepEqual(
    [check(9, 0, 0), check(2, 0, 0, 1)],
    [
      [-19, 0],
      [-22, 0],
    ],
  );
});
