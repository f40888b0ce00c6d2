import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Instruction, isWide } from '../../../src/ebpf/instruction.js';
import { assembleInstructions } from '../../../src/ebpf/text/assemble.js';
import { disassemble } from '../../../src/ebpf/text/disassemble.js';
import { BPF_PROG_TYPE_XDP } from '../../../src/linux-kernel/constants.js';
import { SystemCalls } from '../../../src/linux-kernel/system-calls.js';
import { Random } from '../../support/random.js';
import { randomProgram } from '../../support/random-program.js';
import { verifierLog } from '../../support/verifier-log.js';

const BPF_PROG_TYPE_SOCKET_FILTER = 1;

/** Checks each instruction that the verifier writes against ours, and returns the slots of those. */
function checkNotation(calls: SystemCalls, program: readonly Instruction[], type: number): Set<number> {
  const log = verifierLog(calls, program, type);
  const slots = new Set<number>();
  for (const [, number, theirs] of log.matchAll(/^(\d+): (\([\da-f]{2}\) .*?) *(?:;.*)?$/gm)) {
    const slot = Number(number);
    const length = isWide(program[slot]!) ? 2 : 1;
    const [line] = disassemble(program.slice(slot, slot + length), { slots: true }).split('\n');
    // Wide immediates have no "ll" in the kernel's text: their operation code says it.
    assert.equal(line!.replace('0: ', '').replace(/ ll$/, ''), theirs, log);
    slots.add(slot);
  }
  return slots;
}

test("random programs are written as Linux's verifier writes them", async () => {
  const calls = await SystemCalls.load();
  for (let seed = 1; seed <= 100; seed++) {
    const random = new Random(seed);
    const program = randomProgram(random, random.between(5, 60));
    const slots = checkNotation(calls, program, BPF_PROG_TYPE_XDP);
    assert.ok(slots.size > 20, `seed ${seed}: ${slots.size} instructions in the log`);
  }
});

test('calls, long jumps and stores of constants are written as in Linux', async () => {
  const calls = await SystemCalls.load();
  const program = assembleInstructions(`
    *(u64 *)(r10 -8) = -5
    *(u8 *)(r10 -16) = 5
    call bpf_ktime_get_ns#5
    call pc+3
    gotol pc+0
    r0 = 2
    exit
    r0 = -1
    if w0 != 0xffffffff goto pc+0
    exit`);
  assert.equal(checkNotation(calls, program, BPF_PROG_TYPE_XDP).size, program.length);
});

test('the packet access of classic BPF is written as in Linux', async () => {
  const calls = await SystemCalls.load();
  const program = assembleInstructions(`
    r6 = r1
    r7 = 3
    r0 = *(u8 *)skb[12]
    r0 = *(u16 *)skb[r7 + 12]
    r0 = *(u32 *)skb[r7 + -3]
    r0 = 0
    exit`);
  assert.equal(checkNotation(calls, program, BPF_PROG_TYPE_SOCKET_FILTER).size, program.length);
});
