import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.js';
import { randomExpression } from '../../../test/support/random-expression.js';
import { PacketError } from '../../errors.js';
import { compileExpression } from '../compile-expression.js';
import { KEYWORDS } from './names.js';
import { parseFilter } from './parser.js';
import { SIGNS } from './tokens.js';

/** The error of an expression that is wrong. */
function errorOf(expression: string): PacketError {
  try {
    parseFilter(expression);
  } catch (error) {
    assert.ok(error instanceof PacketError, String(error));
    return error;
  }
  assert.fail(`"${expression}" is read`);
}

/** What the carets stand under. */
function marked(error: PacketError): string {
  const [, shown, carets] = error.message.split('\n');
  const start = carets!.indexOf('^');
  assert.match(carets!, /^ *\^+$/);
  return shown!.slice(start, carets!.length);
}

test('a mistake is shown with carets under the characters it is about', () => {
  const error = errorOf('udp port 53 and tpc port 80');
  assert.equal(error.code, 'FILTER_SYNTAX');
  assert.equal(
    error.message.split(' [')[0],
    [
      'there is no word tpc (did you mean tcp?), at character 17',
      '  udp port 53 and tpc port 80',
      '                  ^^^',
    ].join('\n'),
  );
  assert.equal(error.remedy, 'write tcp');
});

test('the characters of a mistake', () => {
  const cases: readonly (readonly [expression: string, marked: string])[] = [
    ['host 10.0.0.1/24', '10.0.0.1/24'],
    ['net 10.0.0.0/33', '33'],
    ['port htttp', 'htttp'],
    ['tcp port 80 and ip[0:3] = 1', '3'],
    ['udp and portrange 1-70000', '70000'],
    ['port 53 and vlan 4096', '4096'],
    ['ip6 host 10.0.0.1', 'ip6 host 10.0.0.1'],
    ['(tcp or udp', '('],
    ['host example.org', 'example.org'],
    ['host 2001:db8::zz', 'zz'],
    ['ip host 010.0.0.9 and port 08', '08'],
    ['tcp $ udp', '$'],
    ['ip[0] & 5', ''],
  ];
  for (const [expression, characters] of cases) assert.equal(marked(errorOf(expression)), characters, expression);
});

test('what is right but not to be had says so, and what to write instead', () => {
  for (const expression of ['gateway 10.0.0.1', 'geneve', 'ip6 protochain 6', 'addr1 2:0:0:0:0:1', 'vpi 5']) {
    const error = errorOf(expression);
    assert.equal(error.code, 'FILTER_UNSUPPORTED', expression);
    assert.ok(error.remedy.length > 0);
  }
});

test('long expressions show what is around the mistake, control characters as marks', () => {
  const error = errorOf(`${'ip and '.repeat(50)}tpc${' and ip'.repeat(50)}`);
  assert.equal(marked(error), 'tpc');
  assert.ok(error.message.split('\n').every((line) => line.length <= 80));
  assert.match(errorOf('ip \u0007').message, /\n {2}ip \?\n/);
});

test('names of ports are those of /etc/services, numbers are as in C', () => {
  const same = (first: string, second: string): void =>
    assert.deepEqual(
      compileExpression(first, { link: 'ethernet', tagMayBeBeside: false }),
      compileExpression(second, { link: 'ethernet', tagMayBeBeside: false }),
    );
  same('tcp port http', 'tcp port 80');
  same('port domain', 'port 53');
  same('portrange ftp-data-http', 'tcp portrange 20-80');
  same('udp port 0x35', 'udp port 065');
  same('', '1 = 1');
});

test('nesting and length are bounded', () => {
  for (const expression of [
    `${'('.repeat(100_000)}ip${')'.repeat(100_000)}`,
    '('.repeat(3000),
    'ip['.repeat(2000),
    `ip[0] = ${'-'.repeat(5000)}1`,
    Array(100_000).fill('ip').join(' or '),
    'not '.repeat(100_000),
    `ip[0]${' + 1'.repeat(100_000)} = 1`,
    `host (${'10.0.0.1 or '.repeat(50_000)}10.0.0.2)`,
  ]) {
    assert.equal(errorOf(expression).code, 'FILTER_SYNTAX', expression.slice(0, 20));
  }
});

/** Reads and compiles an expression, which may be refused but must not do anything else. */
function tryToCompile(expression: string): boolean {
  try {
    compileExpression(expression, { link: 'ethernet', tagMayBeBeside: true });
    return true;
  } catch (error) {
    if (!(error instanceof PacketError)) throw new Error(`"${expression}": ${String(error)}`, { cause: error });
    assert.match(error.code, /^FILTER_(SYNTAX|UNSUPPORTED)$/);
    assert.ok(marked(error) !== undefined);
    return false;
  }
}

test('property: any characters are an expression or an error', () => {
  const random = new Random(1);
  const alphabet = [
    ...' \t\n()[]!&|^<>=:/*%+-\\.,;$#"\'',
    ...'0123456789abcdefxhostipudp',
    '\u0000',
    '\u{1f4e6}',
    '\ud800',
    'é',
  ];
  for (let i = 0; i < 3000; i++) {
    tryToCompile(Array.from({ length: random.below(40) }, () => random.pick(alphabet)).join(''));
  }
});

test('property: any words and signs are an expression or an error', () => {
  const random = new Random(2);
  const words = [
    ...KEYWORDS,
    ...SIGNS,
    '10.0.0.1',
    '::1',
    '2:0:0:0:0:1',
    '80',
    '1-5',
    '\\tcp',
    'tcpflags',
    'http',
    '0',
    '10',
  ];
  let compiled = 0;
  for (let i = 0; i < 10_000; i++) {
    if (tryToCompile(Array.from({ length: random.between(1, 8) }, () => random.pick(words)).join(' '))) compiled++;
  }
  assert.ok(compiled > 100, `${compiled}`);
});

test('property: expressions with a few characters changed are expressions or errors', () => {
  const random = new Random(3);
  for (let i = 0; i < 2000; i++) {
    const characters = [...randomExpression(random)];
    for (let changes = random.between(1, 3); changes > 0; changes--) {
      const at = random.below(characters.length);
      if (random.oneIn(2)) characters.splice(at, 1);
      else characters[at] = random.pick([...'()[]!&|=<> 0a']);
    }
    tryToCompile(characters.join(''));
  }
});
