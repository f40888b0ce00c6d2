import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatIpAddress,
  formatIpPrefix,
  parseIpAddress,
  parseIpPrefix,
  readIpAddress,
  writeIpAddress,
} from './ip-address.js';
import { seeded } from './test-support.js';

const hex = (text: string) =>
  parseIpPrefix(text)
    ?.words.map((word) => (word >>> 0).toString(16).padStart(8, '0'))
    .join(' ');

test('IPv4 addresses and prefixes', () => {
  assert.deepEqual(parseIpPrefix('10.0.0.1'), { version: 4, words: [0x0a000001], bits: 32 });
  assert.deepEqual(parseIpPrefix('255.255.255.255/8'), { version: 4, words: [-1], bits: 8 });
  assert.deepEqual(parseIpPrefix('0.0.0.0/0'), { version: 4, words: [0], bits: 0 });
});

test('IPv6 addresses and prefixes', () => {
  assert.equal(hex('2001:db8:1:2:3:4:5:6'), '20010db8 00010002 00030004 00050006');
  assert.equal(hex('2001:DB8::1'), '20010db8 00000000 00000000 00000001');
  assert.equal(hex('::'), '00000000 00000000 00000000 00000000');
  assert.equal(hex('1::'), '00010000 00000000 00000000 00000000');
  assert.equal(hex('::ffff:192.0.2.1'), '00000000 00000000 0000ffff c0000201');
  assert.equal(hex('64:ff9b::192.0.2.1/96'), '0064ff9b 00000000 00000000 c0000201');
  assert.equal(hex('1:2:3:4:5:6:7::'), '00010002 00030004 00050006 00070000');
  assert.equal(parseIpPrefix('fe80::/10')?.bits, 10);
  assert.equal(parseIpPrefix('::1')?.bits, 128);
});

test('what is no address is refused', () => {
  const v4 = ['', '1', '1.2.3', '1.2.3.4.5', '1.2.3.256', '1.2.3.04', '1.2.3.-4', '1.2.3.4 ', '0x1.2.3.4', '1..2.3'];
  const v6 = [
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'g::',
    '1:2:3:4:5:6:7:8::',
    '::%eth1',
  ];
  const mixed = ['1.2.3.4::', '::1.2.3.4:5', '1:2:3:4:5:6:7:1.2.3.4', ':1:2:3:4:5:6:7', '1:2:3:4:5:6:7:'];
  const prefixes = ['1.2.3.4/33', '1.2.3.4/', '1.2.3.4/08', '::/129', '::1/-1', '/8', '1.2.3.4/8/8', '1.2.3.4/1e1'];
  for (const text of [...v4, ...v6, ...mixed, ...prefixes]) assert.equal(parseIpPrefix(text), undefined, text);
});

test('IPv6 addresses are written as RFC 5952 recommends', () => {
  const forms: Record<string, string> = {
    '2001:0db8:0000:0000:0001:0000:0000:0001': '2001:db8::1:0:0:1', // of two runs of the same length the first
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1', // a single group is not shortened
    '2001:db8::0:1': '2001:db8::1',
    '2001:0:0:1:0:0:0:1': '2001:0:0:1::1', // the longest run
    '2001:DB8::A': '2001:db8::a',
    '::': '::',
    '::1': '::1',
    '1::': '1::',
    'fe80:0:0:0:0:0:0:0': 'fe80::',
    '::ffff:192.0.2.1': '::ffff:192.0.2.1',
    '::FFFF:c000:0201': '::ffff:192.0.2.1',
    '64:ff9b::192.0.2.33': '64:ff9b::c000:221',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff': 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  };
  for (const [text, expected] of Object.entries(forms))
    assert.equal(formatIpAddress(parseIpAddress(text)!), expected, text);
});

test('prefixes as text', () => {
  assert.equal(parseIpAddress('10.0.0.0/8'), undefined);
  assert.equal(formatIpPrefix(parseIpPrefix('10.0.0.0/8')!), '10.0.0.0/8');
  assert.equal(formatIpPrefix(parseIpPrefix('192.0.2.255')!), '192.0.2.255/32');
  assert.equal(formatIpPrefix(parseIpPrefix('2001:DB8::/32')!), '2001:db8::/32');
});

test('any address survives being written as text and as bytes', () => {
  const random = seeded(7);
  for (let round = 0; round < 3000; round++) {
    const version = random(2) === 0 ? 4 : 6;
    const word = (): number => [0, 0, random(2 ** 32), random(0x10000), random(0x10000) << 16][random(5)]! | 0;
    const address = { version, words: Array.from({ length: version === 4 ? 1 : 4 }, word) } as const;
    const text = formatIpAddress(address);
    const parsed = parseIpAddress(text)!;
    assert.deepEqual([parsed.version, parsed.words], [version, address.words], text);
    const bytes = new Uint8Array(20);
    writeIpAddress(bytes, 3, address);
    assert.deepEqual(readIpAddress(bytes, 3, version), address);
  }
});
