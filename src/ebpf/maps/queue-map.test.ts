import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { Random } from '../../../test/support/random.js';
import { PacketError } from '../../errors.js';
import { interpreter } from '../interpreter/interpreter.js';
import { prepareObject } from '../prepare-object.js';
import { assemble } from '../text/assemble.js';
import { BPF_EXIST, BPF_NOEXIST } from './contract.js';
import { createMap } from './create-map.js';

const NO_KEY = new Uint8Array(0);
const word = (value: number) => Uint8Array.of(value, value >> 8, 0, 0);
const refused = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof PacketError && error.code === code && text.test(error.message);

for (const type of ['queue', 'stack'] as const) {
  test(`a ${type} gives values back in its order, over many changes`, () => {
    const random = new Random(9);
    const { machine } = new EbpfRuns();
    const map = createMap(machine, { name: 'q', type, keySize: 0, valueSize: 4, maxEntries: 5, flags: 0 });
    const list: number[] = [];
    for (let i = 0; i < 2000; i++) {
      const next = type === 'queue' ? list[0] : list.at(-1);
      assert.deepEqual(map.lookup(NO_KEY), next === undefined ? undefined : word(next), `step ${i}`);
      if (random.oneIn(3)) {
        assert.equal(map.delete(NO_KEY), list.length > 0);
        if (type === 'queue') list.shift();
        else list.pop();
      } else if (random.oneIn(4)) {
        map.update(NO_KEY, word(i), BPF_EXIST);
        if (list.length === 5) list.shift();
        list.push(i);
      } else if (list.length === 5) {
        assert.throws(() => map.update(NO_KEY, word(i)), refused('MAP_FULL', /full/));
      } else {
        map.update(NO_KEY, word(i));
        list.push(i);
      }
    }
    assert.throws(() => map.update(NO_KEY, word(0), BPF_NOEXIST), refused('MAP_UNSUPPORTED', /always new/));
    assert.throws(() => map.lookup(word(0)), refused('INVALID_OPTION', /a key of 4 bytes/));
    assert.throws(() => map.entries(), refused('MAP_UNSUPPORTED', /no keys to list/));
  });
}

test('programs put values in, look at the next, and take it out', () => {
  const runs = new EbpfRuns();
  const call = (helper: string, register: number) => `
    r1 = map[values]
    r2 = r10
    r2 += -8
    r3 = 0
    call bpf_map_${helper}_elem
    r${register} = r0`;
  const source = `
    .map values stack key 0 value 8 entries 2
    .function use
      *(u64 *)(r10 -8) = 5
      ${call('push', 6)}
      *(u64 *)(r10 -8) = 6
      ${call('push', 6)}
      ${call('push', 7)}
      *(u64 *)(r10 -8) = 0
      ${call('peek', 6)}
      r8 = *(u64 *)(r10 -8)
      ${call('pop', 6)}
      ${call('pop', 6)}
      r9 = *(u64 *)(r10 -8)
      ${call('pop', 6)}
      r0 = *(u64 *)(r10 -8)
      r0 <<= 8
      r0 |= r8
      r0 <<= 8
      r0 |= r9
      r0 <<= 8
      r7 = -r7
      r0 |= r7
      r0 <<= 8
      r6 = -r6
      r0 |= r6
      exit`;
  const { executables } = prepareObject(assemble(source), runs.machine, interpreter);
  // Nothing is left (zeros); 6, then 5; -E2BIG for the third; -ENOENT for the last.
  assert.equal(runs.run(executables[0]!).result, 0x06050702n);
});
