import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest, didYouMean } from './suggestion.js';

const KNOWN = ['size', 'seconds', 'batch', 'ring', 'versions'];

test('a word within two typing errors is found', () => {
  assert.equal(closest('sise', KNOWN), 'size');
  assert.equal(closest('btach', KNOWN), 'batch');
  assert.equal(closest('version', KNOWN), 'versions');
  assert.equal(closest('RING', KNOWN), 'ring');
});

test('the beginning of a word is found', () => {
  assert.equal(closest('sec', KNOWN), 'seconds');
});

test('nothing is suggested for what is far from everything', () => {
  assert.equal(closest('frobnicate', KNOWN), undefined);
  assert.equal(closest('x', KNOWN), undefined);
  assert.equal(didYouMean('frobnicate', KNOWN), '');
  assert.equal(didYouMean('sise', KNOWN), ' (did you mean size?)');
});
