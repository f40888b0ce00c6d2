import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EAGAIN, ENETDOWN, ENXIO } from './constants.js';
import { LinkState } from './link-state.js';

test('an interface that goes down is told once, until a call works again', () => {
  const link = new LinkState();
  link.note(0);
  assert.equal(link.take(), 0);
  for (let i = 0; i < 3; i++) link.note(ENETDOWN);
  assert.deepEqual([link.take(), link.take()], [ENETDOWN, 0]);
  link.note(ENETDOWN);
  assert.equal(link.take(), 0);
  link.note(0);
  link.note(ENETDOWN);
  link.note(EAGAIN); // it is up again, and was down all the same
  assert.deepEqual([link.take(), link.take()], [ENETDOWN, 0]);
});

test('a socket without interface is told where the interface was down before', () => {
  const link = new LinkState();
  link.note(ENXIO); // a driver without a program
  assert.equal(link.take(), 0);
  link.note(ENETDOWN);
  link.note(ENXIO);
  assert.equal(link.take(), ENXIO);
});

test('what was told by the kernel itself is not told again', () => {
  const link = new LinkState();
  link.note(ENETDOWN);
  link.told();
  link.note(ENETDOWN);
  assert.equal(link.take(), 0);
});
