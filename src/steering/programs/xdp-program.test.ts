import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRule } from '../rules.js';
import { MatchCode } from './match-code.js';
import { codeForQueues } from './rule-code.js';
import { xdpProgram, xdpRedirect, xdpVerdict } from './xdp-program.js';

// What the programs decide is tested in the kernel (test/linux/inside/rule-programs.ts).

test('without rules the program is the redirection alone, and reads no packet', () => {
  const program = xdpProgram(codeForQueues([]).code, xdpRedirect(7));
  assert.ok(program.length <= 7, `${program.length} instructions`);
  assert.equal(program.at(-1)!.opcode, 0x95);
  assert.ok(program.some(({ opcode, source, immediate }) => opcode === 0x18 && source === 5 && immediate === 7));
});

test('queues with the same rules share them', () => {
  const rules = [parseRule({ port: [1, 9] }, 'rule')];
  const one = xdpProgram(codeForQueues([{ queues: [0], rules }]).code, xdpVerdict(1)).length;
  const shared = xdpProgram(codeForQueues([{ queues: [0, 1], rules }]).code, xdpVerdict(1)).length;
  assert.ok(shared - one <= 4, `${shared - one} instructions more`);
});

test('a jump that eBPF cannot express is refused', () => {
  const code = new MatchCode();
  const far = code.label();
  code.metadata('queue');
  const near = code.label();
  code.branch('equal', 1, far, near);
  code.place(near);
  for (let i = 0; i < 32768; i++) code.set(i);
  code.place(far);
  code.refuse();
  assert.throws(() => xdpProgram(code, xdpVerdict(1)), {
    code: 'FLOW_TABLE_FULL',
    message: /32768 instructions.*32767/,
  });
});
