import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgram } from '../../ebpf/create-program.js';
import { instruction } from '../../ebpf/instruction.js';
import { programRefusal } from './program-refusal.js';
import { readVerifierLog } from './verifier-log.js';

const END = 'processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0';

test('the reason stands behind the instruction and the state before it', () => {
  const log = `func#0 @0
0: R1=ctx() R10=fp0
; void *data = (void *)(long)ctx->data; @ first.c:4
0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2_w=pkt(r=0)
; return *(char *)data; @ first.c:5
1: (71) r0 = *(u8 *)(r2 +0)
invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)
R2 offset is outside of the packet
verification time 40 usec
stack depth 0
${END}`;
  assert.deepEqual(readVerifierLog(log), {
    slot: 1,
    instruction: 'r0 = *(u8 *)(r2 +0)',
    registers: 'R1=ctx() R2_w=pkt(r=0) R10=fp0',
    reason: 'invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0); R2 offset is outside of the packet',
  });
});

test('older kernels write the state on a line of its own', () => {
  const log = `0: (bf) r6 = r1
1: (85) call bpf_map_lookup_elem#1
2: R0_w=map_value_or_null(id=1,off=0,ks=4,vs=8,imm=0) R6_w=ctx(id=0,off=0,imm=0) R10=fp0
2: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
${END}`;
  const { slot, registers, reason } = readVerifierLog(log);
  assert.equal(slot, 2);
  assert.match(registers!, /^R0_w=map_value_or_null\(id=1/);
  assert.equal(reason, "R0 invalid mem access 'map_value_or_null'");
  const branch = readVerifierLog(`from 3 to 7: R0=inv0 R10=fp0\n7: (95) exit\nR0 !read_ok\n${END}`);
  assert.deepEqual([branch.slot, branch.registers, branch.reason], [7, 'R0=inv0 R10=fp0', 'R0 !read_ok']);
});

test('what is wrong with the shape of a program names its slot, too', () => {
  assert.deepEqual(readVerifierLog(`unreachable insn 3\n${END}`), {
    ...{ slot: 3, instruction: undefined, registers: undefined },
    reason: 'unreachable insn 3',
  });
  assert.equal(readVerifierLog('back-edge from insn 5 to 2').slot, 5);
  assert.equal(readVerifierLog('jump out of range from insn 1 to 9').slot, 1);
  assert.equal(readVerifierLog('last insn is not an exit or jmp').slot, undefined);
  assert.equal(readVerifierLog('The sequence of 8193 jumps is too complex.').slot, undefined);
});

test('whatever a kernel writes is a verdict', () => {
  const unknown = { slot: undefined, instruction: undefined, registers: undefined };
  assert.deepEqual(readVerifierLog(''), { ...unknown, reason: '' });
  assert.deepEqual(readVerifierLog('what?\n\nnew words'), { ...unknown, reason: 'what?; new words' });
  assert.equal(readVerifierLog('a\nb\nc\nd\ne').reason, 'c; d; e');
});

test('an error shows a line of source and registers that are not too long', () => {
  const lines = [{ slot: 1, file: 'a.c', line: 7, column: 3, text: '  return *p;' }];
  const program = createProgram([instruction(0xb7), instruction(0x95)], { name: 'long', lines });
  const registers = Array.from({ length: 40 }, (_, i) => `R${i % 10}_w=scalar(id=${i})`).join(' ');
  const error = programRefusal(program, 13, `0: ${registers}\n1: (95) exit\nR0 !read_ok`);
  assert.match(
    error.message,
    /^load the program long: .* refuses slot 1 \(exit\) of a\.c:7 "return \*p;": R0 !read_ok; /,
  );
  assert.ok(error.message.length < 500, error.message);
  assert.equal(error.code, 'PROGRAM_REFUSED');
  assert.ok(error.log.length > 500);
});
