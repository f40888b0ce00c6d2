import assert from 'node:assert/strict';
import { test } from 'node:test';
import { btfBytes } from '../../../test/support/btf-bytes.js';
import { Random } from '../../../test/support/random.js';
import { BTF_KIND_FUNC, BTF_KIND_FUNC_PROTO, BTF_KIND_INT, BTF_KIND_PTR } from '../../ebpf/object/btf/constants.js';
import { readBtf } from '../../ebpf/object/btf/read-btf.js';
import { PacketError } from '../../errors.js';
import { ProgramBtf } from './program-btf.js';

/** `int walk(int *next)`. */
const OBJECT = btfBytes([
  { name: 'int', kind: BTF_KIND_INT, word: 4, rest: [(1 << 24) | 32] },
  { kind: BTF_KIND_PTR, word: 1 },
  { kind: BTF_KIND_FUNC_PROTO, count: 1, word: 1, rest: ['next', 2] },
  { name: 'walk', kind: BTF_KIND_FUNC, count: 1, word: 3 },
]);

test("an object's types keep their numbers, and what is added comes behind them", () => {
  const types = new ProgramBtf(OBJECT);
  assert.deepEqual(
    [0, 1, 3, 4, 5].map((number) => types.isFunction(number)),
    [false, false, false, true, false],
  );
  const added = types.plainFunction('a function');
  const line = types.text('return 0;');
  assert.equal(types.text('return 0;'), line);
  const all = readBtf(types.bytes());
  assert.deepEqual(all.types.slice(0, 5), readBtf(OBJECT).types);
  const { name, kind, type } = all.type(added) as { name: string; kind: string; type: number };
  assert.deepEqual([name, kind], ['a_function', 'func']);
  const prototype = all.type(type);
  assert.ok(prototype.kind === 'func_proto' && prototype.parameters.length === 0);
  assert.equal(all.type(prototype.returns).name, 'int');
  assert.equal(all.strings.at(line), 'return 0;');
});

test('without types functions have their names', () => {
  const types = new ProgramBtf();
  const numbers = [types.plainFunction('main'), types.plainFunction('other')];
  const all = readBtf(types.bytes());
  assert.deepEqual(
    numbers.map((number) => all.type(number).name),
    ['main', 'other'],
  );
});

test('damaged types are refused', () => {
  const random = new Random(7);
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    const bytes = OBJECT.slice();
    for (let flips = 0; flips < 3; flips++) bytes[random.between(4, bytes.length - 1)] = random.between(0, 255);
    try {
      const types = new ProgramBtf(bytes);
      types.plainFunction('main');
      types.bytes();
    } catch (error) {
      assert.ok(error instanceof PacketError && /^PROGRAM_(CORRUPT|UNSUPPORTED)$/.test(error.code), String(error));
      refused++;
    }
  }
  assert.ok(refused > 300 && refused < 3000, `${refused} refused`);
});
