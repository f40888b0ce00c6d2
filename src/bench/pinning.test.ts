import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describePinning, expandCpuList, planPinning } from './pinning.js';

test('lists of CPUs as Linux writes them', () => {
  assert.deepEqual(expandCpuList('0-3,8,10-11'), [0, 1, 2, 3, 8, 10, 11]);
  assert.deepEqual(expandCpuList('5'), [5]);
  assert.deepEqual(expandCpuList(''), []);
  assert.deepEqual(expandCpuList('nonsense'), []);
});

test('two different CPUs, or a reason', () => {
  const plan = planPinning();
  if ('none' in plan) assert.ok(plan.none.length > 0);
  else assert.notEqual(plan.application, plan.kernel);
  assert.match(describePinning(plan), /pinned/);
});
