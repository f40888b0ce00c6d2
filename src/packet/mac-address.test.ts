import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatMacAddress, parseMacAddress, writeMacAddress } from './mac-address.js';

test('Ethernet addresses', () => {
  for (const text of ['02:00:00:00:ab:0c', '2:0:0:0:AB:c', '02-00-00-00-ab-0c', '0200.0000.ab0c']) {
    const address = parseMacAddress(text)!;
    assert.equal(formatMacAddress(address), '02:00:00:00:ab:0c');
    const bytes = new Uint8Array(10);
    writeMacAddress(bytes, 2, address);
    assert.equal(formatMacAddress(bytes, 2), '02:00:00:00:ab:0c');
  }
  for (const text of [
    '',
    '02:00:00:00:ab',
    '02:00:00:00:ab:0c:0d',
    '02:00:00:00:ab:0g',
    '02:00:00-00:ab:0c',
    '020000.00ab0c',
    '::::::',
  ]) {
    assert.equal(parseMacAddress(text), undefined, text);
  }
});
