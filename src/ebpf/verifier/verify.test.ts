import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VERIFIED_HELPERS } from '../../../test/support/verified-helpers.js';
import { ACCEPTED, HOSTILE, LENIENT } from '../../../test/support/verifier-programs.js';
import { PacketError } from '../../errors.js';
import type { Program } from '../program.js';
import { assemble } from '../text/assemble.js';
import type { Verification, VerifyOptions } from './contract.js';
import { verify } from './verify.js';

const program = (text: string): Program => assemble(text).programs[0]!;
const verifyText = (text: string, options: Partial<VerifyOptions> = {}): Verification =>
  verify(program(text), { helpers: VERIFIED_HELPERS, ...options });

for (const { name, text } of [...ACCEPTED, ...LENIENT]) {
  test(`accepted: ${name}`, () => {
    const { followed, reached } = verifyText(text);
    assert.ok(followed > 0);
    assert.equal(reached[0], 1);
  });
}

for (const { name, text, reason } of HOSTILE) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => verifyText(text),
      (error) => {
        assert.ok(error instanceof PacketError);
        assert.equal(error.code, 'PROGRAM_REFUSED');
        assert.match(error.message, reason);
        return true;
      },
    );
  });
}

test('a chain of branches takes time in proportion, not a way for each combination', () => {
  const branches = Array.from({ length: 200 }, (_, index) => {
    const test = `r2 = *(u32 *)(r6 +12)\nif r2 == ${index} goto skip${index}\nr3 = ${index}`;
    return `${test}\nr2 = r3\nr2 += 1\nr4 = r2\nr4 ^= r3\nskip${index}:`;
  });
  const { followed } = verifyText(`r6 = r1\nr0 = 2\nr3 = 0\n${branches.join('\n')}\nexit`);
  assert.ok(followed < 10_000, `${followed} instructions`);
});

test('functions that call each other in many ways take time in proportion', () => {
  const levels = Array.from({ length: 7 }, (_, level) =>
    ['a', 'b'].map((name) => {
      const calls = level === 6 ? 'r0 = 0' : `call a${level + 1}\ncall b${level + 1}`;
      return `.function ${name}${level}\n${calls}\nexit`;
    }),
  );
  const { followed } = verifyText(`call a0\nexit\n.text\n${levels.flat().join('\n')}`);
  assert.ok(followed < 2_000, `${followed} instructions`);
});

test('the limit of instructions is an option, with a range', () => {
  const loop = 'r0 = 0\nnext:\nr0 += 1\nif r0 < 1000 goto next\nexit';
  assert.throws(() => verifyText(loop, { limit: 1000 }), /more than 1000 instructions/);
  assert.throws(() => verifyText(loop, { limit: 0 }), /verify limit/);
  assert.throws(() => verifyText(loop, { limits: 5 } as object), /no option limits/);
});

test('stack that was not written is refused where that is asked for', () => {
  const unwrittenStack = false;
  assert.throws(() => verifyText('r0 = *(u64 *)(r10 -8)\nexit', { unwrittenStack }), /not written/);
  assert.throws(
    () => verifyText('*(u32 *)(r10 -8) = 1\nr0 = *(u64 *)(r10 -8)\nexit', { unwrittenStack }),
    /not written/,
  );
  verifyText('r0 = 2\n*(u64 *)(r10 -8) = r0\nr0 = *(u64 *)(r10 -8)\nexit', { unwrittenStack });
});

test('the log has each instruction that was followed, with what the registers hold', () => {
  const lines: string[] = [];
  verifyText('r0 = *(u32 *)(r1 +16)\nr0 &= 3\nexit', { log: (line) => lines.push(line) });
  assert.deepEqual(lines, [
    '0: r1=context r10=stack',
    '1: r0=number 0..4294967295 r1=context r10=stack',
    '2: r0=number 0..3 r1=context r10=stack',
  ]);
});

test('what was found out about a program is there for engines', () => {
  const { accesses, calledMaps, reached, stackBytes, deepestStackBytes } = verifyText(`
    .map settings array key 4 value 4 entries 1 flags 128 frozen
    .value 01
    .map counts hash key 4 value 16 entries 8
    r1 = map[settings][0]+0
    r2 = *(u32 *)(r1 +0)
    if r2 == 0x0 goto out
    *(u32 *)(r10 -4) = 7
    r2 = r10
    r2 += -4
    r1 = map[counts]
    call bpf_map_lookup_elem#1
    if r0 == 0x0 goto found
    r3 = *(u64 *)(r0 +8)
  found:
    call leaf
    exit
  out:
    r0 = 1
    exit
    .text
    .function leaf
    r0 = 2
    *(u64 *)(r10 -24) = r0
    exit`);
  assert.deepEqual(accesses.get(2), { region: 'map value', bytes: 4, offset: 0 });
  assert.deepEqual(accesses.get(4), { region: 'stack', bytes: 4, offset: -4 });
  assert.deepEqual(accesses.get(11), { region: 'map value', bytes: 8, offset: 8 });
  assert.deepEqual([...calledMaps], [[9, 1]]);
  assert.deepEqual([reached[12], reached[14]], [1, 0]);
  assert.deepEqual(stackBytes, [4, 24]);
  assert.equal(deepestStackBytes, 48);
});
