import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cell, DEFAULT_SETTINGS } from './cell.js';
import { type BenchResult, toResult } from './result.js';
import { renderTable } from './table.js';

const CELL: Cell = {
  program: 'rxdrop',
  version: 'v4-zc',
  size: 64,
  interface: 'soft:generator',
  settings: DEFAULT_SETTINGS,
  pinning: { none: 'a test' },
};

function result(version: Cell['version'], mpps: number, lost = {}): BenchResult {
  return toResult({ ...CELL, version }, { mpps: [mpps], meanSize: 64, lost, cpuShare: 1 });
}

test('figures of a cell: median and spread, wire rate, time per packet', () => {
  const { mpps, gbps, nsPerPacket } = toResult(CELL, { mpps: [30, 44.6, 50], meanSize: 64, lost: {}, cpuShare: 1 });
  assert.deepEqual(mpps, { median: 44.6, min: 30, max: 50 });
  assert.equal(gbps, 29.97); // the talk's 30 Gbit/s
  assert.equal(nsPerPacket, 22.42);
  const large = toResult({ ...CELL, size: 1500 }, { mpps: [3.29], meanSize: 1500, lost: {}, cpuShare: 1 });
  assert.equal(large.gbps, 40.01);
});

test('an even number of runs: the median lies between the middle ones', () => {
  assert.equal(toResult(CELL, { mpps: [4, 1, 2, 3], meanSize: 64, lost: {}, cpuShare: 1 }).mpps.median, 2.5);
});

test('where the traffic decides, the size is the mean of what was seen', () => {
  const capture = { ...CELL, size: undefined, interface: 'soft:pcap=x' };
  assert.equal(toResult(capture, { mpps: [1], meanSize: 418.137, lost: {}, cpuShare: 1 }).size, 418.1);
  const linux = toResult({ ...CELL, interface: 'eth0' }, { mpps: [1], meanSize: 90, lost: {}, cpuShare: 1 });
  assert.equal(linux.size, 90);
  assert.equal(linux.threads, 'kernel');
});

test('nothing received is no division by zero', () => {
  const { mpps, nsPerPacket, gbps } = toResult(CELL, { mpps: [0, 0, 0], meanSize: 0, lost: {}, cpuShare: 1 });
  assert.deepEqual({ mpps, nsPerPacket, gbps }, { mpps: { median: 0, min: 0, max: 0 }, nsPerPacket: 0, gbps: 0 });
});

test('the table: ratios to V2 and V3, the talk beside ours, losses by place, refusals', () => {
  const results = [result('v2', 2), result('v3', 4, { 'receive-ring-full': 1234567 }), result('v4-zc', 40)];
  const refused = {
    program: 'rxdrop',
    version: 'xdp-zc',
    size: 64,
    interface: 'soft:generator',
    code: 'X',
    why: 'no',
    remedy: 'another',
  } as const;
  const text = renderTable({ interface: 'soft:generator', size: 64, results, refused: [refused] });
  assert.equal(
    text,
    `soft:generator: packets of 64 bytes, kernel on a thread of its own

          Mpps    min – max  Gbit/s  ns/packet  × V2  × V3  talk, Mpps  lost
rxdrop
  v2      2.00  2.00 – 2.00    1.34        500   1.0   0.5        0.67
  v3      4.00  4.00 – 4.00    2.69        250   2.0   1.0        0.73  1,234,567 receive-ring-full
  v4-zc   40.0  40.0 – 40.0    26.9       25.0  20.0  10.0        33.7
  xdp-zc  refused: no`,
  );
});

test('the talk has no figures for other sizes', () => {
  const other = toResult({ ...CELL, size: 256 }, { mpps: [1], meanSize: 256, lost: {}, cpuShare: 1 });
  const text = renderTable({ interface: 'soft:generator', size: 256, results: [other], refused: [] });
  assert.match(text, /v4-zc {2}1\.00 {2}1\.00 – 1\.00 {4}2\.21 {7}1000$/m);
});
