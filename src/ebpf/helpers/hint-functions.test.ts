import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { compiler } from '../compiler/compiler.js';
import {
  HINT_HASH,
  HINT_TIME,
  HINT_VLAN,
  HINTS_HASH,
  HINTS_HASH_TYPE,
  HINTS_PRESENT,
  HINTS_TIME,
  HINTS_VLAN,
} from '../execution.js';
import { interpreter } from '../interpreter/interpreter.js';
import { prepareObject } from '../prepare-object.js';
import { assemble } from '../text/assemble.js';
import { verify } from '../verifier/verify.js';
import { XDP_HELPERS } from './xdp-helpers.js';

const packet = new Uint8Array(64);

/** Calls a function with two places in eight bytes of the stack; the result is register 0 where it is negative, or those bytes. */
const program = (name: string, second = 4, first = 'r10') => `
  .extern bpf_xdp_metadata_rx_${name}
  .function f
    *(u64 *)(r10 -8) = 0
    r2 = ${first}
    r2 += -8
    r3 = r10
    r3 += -${second}
    call bpf_xdp_metadata_rx_${name}
    if r0 s< 0 goto done
    r0 = *(u64 *)(r10 -8)
  done:
    exit
`;

for (const engine of [interpreter, compiler]) {
  test(`${engine.name}: hints are read where there are some, and written where the program may`, () => {
    const runs = new EbpfRuns({ engine });
    const { i32 } = runs.arena;
    const hints = runs.arena.allocate(64).offset >> 2;
    i32.fill(0, hints, hints + 8);
    i32[hints + HINTS_HASH] = 0x12345678;
    i32[hints + HINTS_HASH_TYPE] = 41;
    i32[hints + HINTS_VLAN] = (0x8100 << 16) | 0x2064;
    i32[hints + HINTS_TIME] = -2;
    i32[hints + HINTS_TIME + 1] = 3;
    const call = (name: string, second = 4, first = 'r10', at = hints << 2) => {
      const { executables } = prepareObject(assemble(program(name, second, first)), runs.machine, engine);
      return BigInt.asIntN(64, runs.run(executables[0]!, packet, at).result);
    };
    for (const name of ['timestamp', 'hash', 'vlan_tag']) assert.equal(call(name, 4, 'r10', 0), -61n);
    for (const name of ['timestamp', 'hash', 'vlan_tag']) assert.equal(call(name), -61n);
    i32[hints + HINTS_PRESENT] = HINT_HASH | HINT_TIME | HINT_VLAN;
    assert.equal(call('timestamp'), 0x3_ffff_fffen);
    assert.equal(call('hash'), 0x29_1234_5678n);
    // The protocol in network byte order, the tag in the host's.
    assert.equal(call('vlan_tag', 6), 0x2064_0081n);
    for (const name of ['timestamp', 'hash', 'vlan_tag']) assert.equal(call(name, 4, '4096'), -14n);
  });
}

test('the verifier wants room for a hint, and a licence', () => {
  const accept = (text: string) => verify(assemble(text).programs[0]!, { helpers: XDP_HELPERS });
  accept(program('hash'));
  assert.throws(() => accept(program('hash', 2)), { code: 'PROGRAM_REFUSED' });
  assert.throws(() => accept(program('timestamp', 4, 'r1')), { code: 'PROGRAM_REFUSED' });
  assert.throws(() => accept(`.license "BSD"\n${program('hash')}`), { code: 'PROGRAM_REFUSED', message: /licence/ });
});
