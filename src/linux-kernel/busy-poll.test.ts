import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BusyPollRequest } from '../kernel/contract.js';
import { setBusyPoll } from './busy-poll.js';
import { SO_BUSY_POLL, SO_BUSY_POLL_BUDGET, SO_PREFER_BUSY_POLL } from './constants.js';
import type { SystemCalls } from './system-calls.js';

/** System calls of a kernel that takes every option, and tells none. */
function recordingCalls(): { calls: SystemCalls; set: [number, number][] } {
  const set: [number, number][] = [];
  const calls = {
    setsockoptU32: (_descriptor: number, _level: number, option: number, value: number) => {
      set.push([option, value]);
      return 0;
    },
    getsockopt: () => -92,
  };
  return { calls: calls as unknown as SystemCalls, set };
}

test('busy polling sets what was asked for, and nothing else', () => {
  const { calls, set } = recordingCalls();
  setBusyPoll(calls, 3, { microseconds: 20 });
  assert.deepEqual(set.splice(0), [[SO_BUSY_POLL, 20]]);
  const got = setBusyPoll(calls, 3, { microseconds: 1_000_000, budget: 65535, prefer: true });
  assert.deepEqual(set, [
    [SO_BUSY_POLL, 1_000_000],
    [SO_PREFER_BUSY_POLL, 1],
    [SO_BUSY_POLL_BUDGET, 65535],
  ]);
  assert.deepEqual(got, { microseconds: 1_000_000, budget: 65535, prefer: false });
});

test('wrong options of busy polling are refused by name before any call', () => {
  const wrong: [unknown, RegExp][] = [
    [null, /busyPoll: null is not \{ microseconds, budget, prefer \}/],
    [50, /busyPoll: 50 is not/],
    [{ microsecond: 50 }, /busyPoll: there is no option microsecond \(did you mean microseconds\?\)/],
    [{}, /busyPoll\.microseconds: undefined/],
    [{ microseconds: 0 }, /busyPoll\.microseconds: 0/],
    [{ microseconds: 1_000_001 }, /busyPoll\.microseconds: 1000001/],
    [{ microseconds: '50' }, /busyPoll\.microseconds: 50/],
    [{ microseconds: 50, budget: 0 }, /busyPoll\.budget: 0/],
    [{ microseconds: 50, budget: 65536 }, /busyPoll\.budget: 65536/],
    [{ microseconds: 50, budget: 1.5 }, /busyPoll\.budget: 1\.5/],
    [{ microseconds: 50, prefer: 1 }, /busyPoll\.prefer: 1 is not true or false/],
  ];
  for (const [request, message] of wrong) {
    const { calls, set } = recordingCalls();
    const setting = () => setBusyPoll(calls, 3, request as BusyPollRequest);
    assert.throws(setting, { name: 'PacketError', code: 'INVALID_OPTION', message }, String(message));
    assert.deepEqual(set, []);
  }
});
