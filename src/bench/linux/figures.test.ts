import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCPeer } from './c-peer.js';
import { observe } from './cell.js';
import { parseCounters } from './laboratory.js';
import { type Sample, softirqNanoseconds } from './observer.js';
import { renderLinuxTable } from './report.js';
import { accountsOf, heapGrowth, isFlat, type SoakEnd } from './soak-figures.js';
import { TOOLS } from './tools.js';
import { parseTrips, percentile } from './trip.js';

const NET_DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
tp4far: 5600 80 1 2 0 0 0 0 7000 100 3 4 0 0 0 0
`;

test('counters as /proc/net/dev has them', () => {
  assert.deepEqual(parseCounters(NET_DEV, 'tp4far'), { received: 80, receiveDropped: 2, sent: 100, sendDropped: 4 });
  assert.throws(() => parseCounters(NET_DEV, 'tp4'), /no counters of tp4/);
});

test('software interrupts as /proc/stat has them', () => {
  assert.equal(softirqNanoseconds('cpu  10 20 30 40 50 60 7 80 0 0\ncpu0 1 2 3 4 5 6 99 8 0 0\n'), 70_000_000);
});

test('what the C peer writes becomes figures; a refusal its sentence', () => {
  const lines = ['ready', 'began', 'run 1000 60000 500000 400000 16', 'run 3000 180000 1500000 1200000 48'];
  assert.deepEqual(parseCPeer([...lines, 'lost fill-ring-empty 7']), {
    mpps: [2, 2],
    meanSize: 64,
    lost: { 'fill-ring-empty': 7 },
    cpuShare: 0.8,
    cost: { cpuNanoseconds: 400, systemCalls: 0.016 },
  });
  assert.equal(parseCPeer(['refused bind: Device or resource busy']), 'bind: Device or resource busy');
  assert.throws(() => parseCPeer(['ready']), /the C peer wrote: ready/);
});

test('what was seen from outside, per packet', () => {
  const none = { received: 0, receiveDropped: 0, sent: 0, sendDropped: 0 };
  const base: Sample = { time: 0, near: none, far: none, nearNanoseconds: 0, farNanoseconds: 0, softirqNanoseconds: 0 };
  const last: Sample = {
    ...base,
    near: { ...none, received: 100, sendDropped: 3 },
    far: { ...none, received: 300 },
    farNanoseconds: 20_000,
    softirqNanoseconds: 8000,
  };
  assert.deepEqual(observe(base, last, true), {
    farCpuNanoseconds: 200,
    softirqNanoseconds: 20,
    lost: { 'veth-far-queue': 3 },
  });
  assert.equal(observe(base, last, false).farCpuNanoseconds, undefined);
  assert.equal(observe(base, base, true).farCpuNanoseconds, 0, 'nothing moved is no division by zero');
});

test('the part of the packets that a tool took', () => {
  const share = (name: string, text: string): number => TOOLS.find((tool) => tool.name === name)!.share(text);
  const tcpdump = '75 packets captured\n100 packets received by filter\n25 packets dropped by kernel\n';
  assert.equal(share('tcpdump', tcpdump), 0.75);
  assert.equal(share('tcpdump', '1 packet captured\n0 packets dropped by kernel'), 1);
  assert.equal(share('tcpdump', ''), 1);
  assert.equal(share('dpdk-testpmd', '  RX-packets: 300            RX-dropped: 100           RX-total: 400'), 0.75);
});

test('round trips: the line of either program, and its percentiles', () => {
  assert.deepEqual(parseTrips(['ready', 'trips 1 10 20 30']), { lost: 1, nanoseconds: [10, 20, 30] });
  assert.throws(() => parseTrips(['ready']), /no round trips/);
  const sorted = Array.from({ length: 1000 }, (_, i) => i);
  assert.deepEqual(
    [0.5, 0.99, 0.999].map((share) => percentile(sorted, share)),
    [500, 990, 999],
  );
  assert.equal(percentile([], 0.5), 0);
});

const END: SoakEnd = {
  received: 90,
  sent: 89,
  kernelReceived: 90,
  kernelSent: 87,
  drops: { 'fill-ring-empty': 10, 'transmit-error': 2 },
  unsendable: 1,
  frames: 8,
  free: 8,
};

test('a soak balances when every packet is somewhere', () => {
  const near = { received: 100, receiveDropped: 0, sent: 87, sendDropped: 4 };
  const far = { received: 82, receiveDropped: 0, sent: 100, sendDropped: 0 };
  assert.deepEqual(
    accountsOf(100, END, near, far).map(({ balanced }) => balanced),
    [true, true, true, true],
  );
  const missing = accountsOf(101, { ...END, received: 89 }, { ...near, received: 100 }, { ...far, received: 81 });
  assert.deepEqual(
    missing.map(({ balanced }) => balanced),
    [false, false, false, false],
  );
});

test('the heap is flat when its second half does not grow', () => {
  const moments = (...heap: number[]) => heap.map((heapBytes, i) => ({ seconds: i, packets: i, heapBytes }));
  assert.equal(heapGrowth(moments(1e6, 5e6, 5e6 + 100)), 100);
  assert.equal(isFlat(moments(1e6, 5e6, 5e6 + 100)), true);
  assert.equal(isFlat(moments(5e6, 5e6, 6e6)), false);
  assert.equal(heapGrowth([]), 0);
});

test('the table: ours, the C program under it with ratios, tools, refusals below', () => {
  const result = {
    program: 'rxdrop',
    version: 'xdp-copy',
    size: 64,
    interface: 'tp4near',
    threads: 'kernel',
    mpps: { median: 2, min: 1, max: 3 },
    gbps: 1.344,
    nsPerPacket: 500,
    lost: { 'fill-ring-empty': 1234 },
    cpuNsPerPacket: 480,
    systemCallsPerPacket: 0,
    farCpuNsPerPacket: 250,
    softirqNsPerPacket: 100,
  } as const;
  const text = renderLinuxTable(
    {
      size: 64,
      results: [result],
      peers: [
        { ...result, peer: 'C', lost: {}, rateRatio: 1.25, cpuRatio: 0.8 },
        { ...result, peer: 'tcpdump', lost: {}, rateRatio: 4 },
      ],
      refused: [
        {
          program: 'rxdrop',
          version: 'xdp-zc',
          size: 64,
          interface: 'tp4near',
          code: 'X',
          why: 'no',
          remedy: 'another',
        },
      ],
      refusedPeers: [{ peer: 'xdp-bench', program: 'rxdrop', version: 'xdp-copy', size: 64, why: 'absent' }],
    },
    true,
  );
  assert.match(text, /^veth: packets of 64 bytes$/m);
  assert.match(text, /^ {2}xdp-copy +2\.00 +1\.00 – 3\.00 +1\.34 +500 +480 +250 +0\.000 +1,234 fill-ring-empty$/m);
  assert.match(text, /^ {4}C +2\.00 .* 1\.25 +0\.80 *$/m);
  assert.match(text, /^ {2}tcpdump +2\.00 .* 4\.00 *$/m);
  assert.match(text, /^rxdrop xdp-zc: refused: no$/m);
  assert.match(text, /^rxdrop xdp-copy, xdp-bench: refused: absent$/m);
});
