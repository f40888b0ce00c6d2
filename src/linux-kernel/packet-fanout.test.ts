import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fanout } from '../kernel/contract.js';
import { fanoutValue } from './packet-fanout.js';

test('a group, its type and flags make the value of PACKET_FANOUT', () => {
  assert.equal(fanoutValue({ group: 7, type: 'hash' }, false), 0x0000_0007);
  assert.equal(fanoutValue({ group: 65535, type: 'queue' }, false), 0x0005_ffff);
  assert.equal(fanoutValue({ group: 1, type: 'load-balance' }, true), 0x4001_0001);
  assert.equal(fanoutValue({ group: 0, type: 'cpu', flags: ['defragment', 'rollover'] }, false), 0x9002_0000);
});

test('anything else is refused by name, with what is allowed', () => {
  const wrong: [unknown, RegExp][] = [
    [null, /fanout: null is not an object/],
    ['hash', /fanout: hash is not an object/],
    [{ type: 'hash' }, /fanout\.group: undefined is not a whole number from 0 to 65535/],
    [{ group: -1, type: 'hash' }, /fanout\.group: -1/],
    [{ group: 1 }, /fanout\.type: undefined is not one of hash, load-balance/],
    [{ group: 1, type: 'constructor' }, /fanout\.type: constructor/],
    [{ group: 1, type: ['hash'] }, /fanout\.type/],
    [{ group: 1, type: 'hash', flags: 'rollover' }, /fanout\.flags: rollover is not a list/],
    [{ group: 1, type: 'hash', flags: [1] }, /fanout\.flags: 1 is not one of rollover, defragment/],
    [{ group: 1, type: 'hash', flag: [] }, /fanout: there is no option flag \(did you mean flags\?\)/],
    [{ group: 1, type: 'rollover', flags: ['rollover'] }, /says nothing new/],
  ];
  for (const [fanout, message] of wrong) {
    assert.throws(() => fanoutValue(fanout as Fanout, false), { code: 'INVALID_OPTION', message });
  }
});
