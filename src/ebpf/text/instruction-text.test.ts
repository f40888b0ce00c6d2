import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.js';
import { randomProgram } from '../../../test/support/random-program.js';
import { decodeInstructions, encodeInstructions, instruction, SLOT_BYTES, wideInstruction } from '../instruction.js';
import { BPF_JA, BPF_JMP32, BPF_PSEUDO_MAP_IDX } from '../opcodes.js';
import { assembleInstructions } from './assemble.js';
import { disassemble } from './disassemble.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const assembled = (text: string) => hex(encodeInstructions(assembleInstructions(text)));
const disassembled = (bytes: string) => disassemble(decodeInstructions(Buffer.from(bytes, 'hex'))).trimEnd();

/** Every instruction of RFC 9669 as the kernel prints it, and its bytes (opcode, registers, offset, immediate). */
const INSTRUCTIONS: readonly (readonly [text: string, bytes: string])[] = [
  // Arithmetic: 64 bits, then 32; immediate, then register.
  ['r1 += 5', '07 01 0000 05000000'],
  ['r1 += r2', '0f 21 0000 00000000'],
  ['w1 += -5', '04 01 0000 fbffffff'],
  ['w1 += w2', '0c 21 0000 00000000'],
  ['r1 -= 5', '17 01 0000 05000000'],
  ['r1 -= r2', '1f 21 0000 00000000'],
  ['w1 -= 5', '14 01 0000 05000000'],
  ['w1 -= w2', '1c 21 0000 00000000'],
  ['r1 *= 5', '27 01 0000 05000000'],
  ['r1 *= r2', '2f 21 0000 00000000'],
  ['w1 *= 5', '24 01 0000 05000000'],
  ['w1 *= w2', '2c 21 0000 00000000'],
  ['r1 /= 5', '37 01 0000 05000000'],
  ['r1 /= r2', '3f 21 0000 00000000'],
  ['w1 /= 5', '34 01 0000 05000000'],
  ['w1 /= w2', '3c 21 0000 00000000'],
  ['r1 s/= 5', '37 01 0100 05000000'],
  ['r1 s/= r2', '3f 21 0100 00000000'],
  ['w1 s/= 5', '34 01 0100 05000000'],
  ['w1 s/= w2', '3c 21 0100 00000000'],
  ['r1 |= 5', '47 01 0000 05000000'],
  ['r1 |= r2', '4f 21 0000 00000000'],
  ['w1 |= 5', '44 01 0000 05000000'],
  ['w1 |= w2', '4c 21 0000 00000000'],
  ['r1 &= 5', '57 01 0000 05000000'],
  ['r1 &= r2', '5f 21 0000 00000000'],
  ['w1 &= 5', '54 01 0000 05000000'],
  ['w1 &= w2', '5c 21 0000 00000000'],
  ['r1 <<= 5', '67 01 0000 05000000'],
  ['r1 <<= r2', '6f 21 0000 00000000'],
  ['w1 <<= 5', '64 01 0000 05000000'],
  ['w1 <<= w2', '6c 21 0000 00000000'],
  ['r1 >>= 5', '77 01 0000 05000000'],
  ['r1 >>= r2', '7f 21 0000 00000000'],
  ['w1 >>= 5', '74 01 0000 05000000'],
  ['w1 >>= w2', '7c 21 0000 00000000'],
  ['r1 = -r1', '87 01 0000 00000000'],
  ['w1 = -w1', '84 01 0000 00000000'],
  ['r1 %= 5', '97 01 0000 05000000'],
  ['r1 %= r2', '9f 21 0000 00000000'],
  ['w1 %= 5', '94 01 0000 05000000'],
  ['w1 %= w2', '9c 21 0000 00000000'],
  ['r1 s%= 5', '97 01 0100 05000000'],
  ['r1 s%= r2', '9f 21 0100 00000000'],
  ['w1 s%= 5', '94 01 0100 05000000'],
  ['w1 s%= w2', '9c 21 0100 00000000'],
  ['r1 ^= 5', 'a7 01 0000 05000000'],
  ['r1 ^= r2', 'af 21 0000 00000000'],
  ['w1 ^= 5', 'a4 01 0000 05000000'],
  ['w1 ^= w2', 'ac 21 0000 00000000'],
  ['r1 = -2147483648', 'b7 01 0000 00000080'],
  ['r1 = r10', 'bf a1 0000 00000000'],
  ['w1 = 5', 'b4 01 0000 05000000'],
  ['w1 = w2', 'bc 21 0000 00000000'],
  ['r1 = (s8)r2', 'bf 21 0800 00000000'],
  ['r1 = (s16)r2', 'bf 21 1000 00000000'],
  ['r1 = (s32)r2', 'bf 21 2000 00000000'],
  ['w1 = (s8)w2', 'bc 21 0800 00000000'],
  ['w1 = (s16)w2', 'bc 21 1000 00000000'],
  ['r1 s>>= 5', 'c7 01 0000 05000000'],
  ['r1 s>>= r2', 'cf 21 0000 00000000'],
  ['w1 s>>= 5', 'c4 01 0000 05000000'],
  ['w1 s>>= w2', 'cc 21 0000 00000000'],
  // Byte order.
  ['r1 = le16 r1', 'd4 01 0000 10000000'],
  ['r1 = le32 r1', 'd4 01 0000 20000000'],
  ['r1 = le64 r1', 'd4 01 0000 40000000'],
  ['r1 = be16 r1', 'dc 01 0000 10000000'],
  ['r1 = be32 r1', 'dc 01 0000 20000000'],
  ['r1 = be64 r1', 'dc 01 0000 40000000'],
  ['r1 = bswap16 r1', 'd7 01 0000 10000000'],
  ['r1 = bswap32 r1', 'd7 01 0000 20000000'],
  ['r1 = bswap64 r1', 'd7 01 0000 40000000'],
  // Jumps.
  ['goto pc+3', '05 00 0300 00000000'],
  ['gotol pc-3', '06 00 0000 fdffffff'],
  ['if r1 == 0x5 goto pc+3', '15 01 0300 05000000'],
  ['if r1 == r2 goto pc-3', '1d 21 fdff 00000000'],
  ['if w1 == 0xffffffff goto pc+3', '16 01 0300 ffffffff'],
  ['if w1 == w2 goto pc+3', '1e 21 0300 00000000'],
  ['if r1 > 0x5 goto pc+3', '25 01 0300 05000000'],
  ['if r1 > r2 goto pc+3', '2d 21 0300 00000000'],
  ['if w1 > 0x5 goto pc+3', '26 01 0300 05000000'],
  ['if w1 > w2 goto pc+3', '2e 21 0300 00000000'],
  ['if r1 >= 0x5 goto pc+3', '35 01 0300 05000000'],
  ['if r1 >= r2 goto pc+3', '3d 21 0300 00000000'],
  ['if w1 >= 0x5 goto pc+3', '36 01 0300 05000000'],
  ['if w1 >= w2 goto pc+3', '3e 21 0300 00000000'],
  ['if r1 & 0x5 goto pc+3', '45 01 0300 05000000'],
  ['if r1 & r2 goto pc+3', '4d 21 0300 00000000'],
  ['if w1 & 0x5 goto pc+3', '46 01 0300 05000000'],
  ['if w1 & w2 goto pc+3', '4e 21 0300 00000000'],
  ['if r1 != 0x5 goto pc+3', '55 01 0300 05000000'],
  ['if r1 != r2 goto pc+3', '5d 21 0300 00000000'],
  ['if w1 != 0x5 goto pc+3', '56 01 0300 05000000'],
  ['if w1 != w2 goto pc+3', '5e 21 0300 00000000'],
  ['if r1 s> 0x5 goto pc+3', '65 01 0300 05000000'],
  ['if r1 s> r2 goto pc+3', '6d 21 0300 00000000'],
  ['if w1 s> 0x5 goto pc+3', '66 01 0300 05000000'],
  ['if w1 s> w2 goto pc+3', '6e 21 0300 00000000'],
  ['if r1 s>= 0x5 goto pc+3', '75 01 0300 05000000'],
  ['if r1 s>= r2 goto pc+3', '7d 21 0300 00000000'],
  ['if w1 s>= 0x5 goto pc+3', '76 01 0300 05000000'],
  ['if w1 s>= w2 goto pc+3', '7e 21 0300 00000000'],
  ['if r1 < 0x5 goto pc+3', 'a5 01 0300 05000000'],
  ['if r1 < r2 goto pc+3', 'ad 21 0300 00000000'],
  ['if w1 < 0x5 goto pc+3', 'a6 01 0300 05000000'],
  ['if w1 < w2 goto pc+3', 'ae 21 0300 00000000'],
  ['if r1 <= 0x5 goto pc+3', 'b5 01 0300 05000000'],
  ['if r1 <= r2 goto pc+3', 'bd 21 0300 00000000'],
  ['if w1 <= 0x5 goto pc+3', 'b6 01 0300 05000000'],
  ['if w1 <= w2 goto pc+3', 'be 21 0300 00000000'],
  ['if r1 s< 0x5 goto pc+3', 'c5 01 0300 05000000'],
  ['if r1 s< r2 goto pc+3', 'cd 21 0300 00000000'],
  ['if w1 s< 0x5 goto pc+3', 'c6 01 0300 05000000'],
  ['if w1 s< w2 goto pc+3', 'ce 21 0300 00000000'],
  ['if r1 s<= 0x5 goto pc+3', 'd5 01 0300 05000000'],
  ['if r1 s<= r2 goto pc+3', 'dd 21 0300 00000000'],
  ['if w1 s<= 0x5 goto pc+3', 'd6 01 0300 05000000'],
  ['if w1 s<= w2 goto pc+3', 'de 21 0300 00000000'],
  // Calls.
  ['call bpf_redirect_map#51', '85 00 0000 33000000'],
  ['call unknown#100000', '85 00 0000 a0860100'],
  ['call pc+12', '85 10 0000 0c000000'],
  ['call kernel-function#2', '85 20 0000 02000000'],
  ['exit', '95 00 0000 00000000'],
  // Loads and stores.
  ['r1 = *(u8 *)(r2 +4)', '71 21 0400 00000000'],
  ['r1 = *(u16 *)(r2 -4)', '69 21 fcff 00000000'],
  ['r1 = *(u32 *)(r2 +0)', '61 21 0000 00000000'],
  ['r1 = *(u64 *)(r2 +32767)', '79 21 ff7f 00000000'],
  ['r1 = *(s8 *)(r2 +4)', '91 21 0400 00000000'],
  ['r1 = *(s16 *)(r2 +4)', '89 21 0400 00000000'],
  ['r1 = *(s32 *)(r2 +4)', '81 21 0400 00000000'],
  ['*(u8 *)(r10 -4) = 5', '72 0a fcff 05000000'],
  ['*(u16 *)(r10 -4) = 5', '6a 0a fcff 05000000'],
  ['*(u32 *)(r10 -4) = -1', '62 0a fcff ffffffff'],
  ['*(u64 *)(r10 -8) = 5', '7a 0a f8ff 05000000'],
  ['*(u8 *)(r10 -4) = r2', '73 2a fcff 00000000'],
  ['*(u16 *)(r10 -4) = r2', '6b 2a fcff 00000000'],
  ['*(u32 *)(r10 -4) = r2', '63 2a fcff 00000000'],
  ['*(u64 *)(r10 -8) = r2', '7b 2a f8ff 00000000'],
  // Atomic operations.
  ['lock *(u32 *)(r1 +4) += r2', 'c3 21 0400 00000000'],
  ['lock *(u64 *)(r1 +8) += r2', 'db 21 0800 00000000'],
  ['lock *(u32 *)(r1 +4) |= r2', 'c3 21 0400 40000000'],
  ['lock *(u64 *)(r1 +8) |= r2', 'db 21 0800 40000000'],
  ['lock *(u32 *)(r1 +4) &= r2', 'c3 21 0400 50000000'],
  ['lock *(u64 *)(r1 +8) &= r2', 'db 21 0800 50000000'],
  ['lock *(u32 *)(r1 +4) ^= r2', 'c3 21 0400 a0000000'],
  ['lock *(u64 *)(r1 +8) ^= r2', 'db 21 0800 a0000000'],
  ['r2 = atomic_fetch_add((u32 *)(r1 +4), r2)', 'c3 21 0400 01000000'],
  ['r2 = atomic64_fetch_add((u64 *)(r1 +8), r2)', 'db 21 0800 01000000'],
  ['r2 = atomic_fetch_or((u32 *)(r1 +4), r2)', 'c3 21 0400 41000000'],
  ['r2 = atomic64_fetch_or((u64 *)(r1 +8), r2)', 'db 21 0800 41000000'],
  ['r2 = atomic_fetch_and((u32 *)(r1 +4), r2)', 'c3 21 0400 51000000'],
  ['r2 = atomic64_fetch_and((u64 *)(r1 +8), r2)', 'db 21 0800 51000000'],
  ['r2 = atomic_fetch_xor((u32 *)(r1 +4), r2)', 'c3 21 0400 a1000000'],
  ['r2 = atomic64_fetch_xor((u64 *)(r1 +8), r2)', 'db 21 0800 a1000000'],
  ['r2 = atomic_xchg((u32 *)(r1 +4), r2)', 'c3 21 0400 e1000000'],
  ['r2 = atomic64_xchg((u64 *)(r1 +8), r2)', 'db 21 0800 e1000000'],
  ['r0 = atomic_cmpxchg((u32 *)(r1 +4), r0, r2)', 'c3 21 0400 f1000000'],
  ['r0 = atomic64_cmpxchg((u64 *)(r1 +8), r0, r2)', 'db 21 0800 f1000000'],
  // The wide instruction.
  ['r1 = 0x123456789abcdef0 ll', '18 01 0000 f0debc9a 00 00 0000 78563412'],
  ['r1 = 0x5 ll', '18 01 0000 05000000 00 00 0000 00000000'],
  ['r1 = map[fd:5]', '18 11 0000 05000000 00 00 0000 00000000'],
  ['r1 = map[fd:5][0]+8', '18 21 0000 05000000 00 00 0000 08000000'],
  ['r1 = btf[id:7]', '18 31 0000 07000000 00 00 0000 00000000'],
  ['r1 = subprog[+12]', '18 41 0000 0c000000 00 00 0000 00000000'],
  ['r1 = subprog[-12]', '18 41 0000 f4ffffff 00 00 0000 00000000'],
  ['r1 = map[index:2]', '18 51 0000 02000000 00 00 0000 00000000'],
  ['r1 = map[index:2][0]+4294967295', '18 61 0000 02000000 00 00 0000 ffffffff'],
  // Packet access of classic BPF.
  ['r0 = *(u8 *)skb[12]', '30 00 0000 0c000000'],
  ['r0 = *(u16 *)skb[12]', '28 00 0000 0c000000'],
  ['r0 = *(u32 *)skb[-12]', '20 00 0000 f4ffffff'],
  ['r0 = *(u8 *)skb[r1 + 12]', '50 10 0000 0c000000'],
  ['r0 = *(u16 *)skb[r1 + 12]', '48 10 0000 0c000000'],
  ['r0 = *(u32 *)skb[r1 + -12]', '40 10 0000 f4ffffff'],
  // What Linux has beyond RFC 9669.
  ['may_goto pc+3', 'e5 00 0300 00000000'],
  ['r2 = load_acquire((u8 *)(r1 +4))', 'd3 12 0400 00010000'],
  ['r2 = load_acquire((u16 *)(r1 +4))', 'cb 12 0400 00010000'],
  ['r2 = load_acquire((u32 *)(r1 +4))', 'c3 12 0400 00010000'],
  ['r2 = load_acquire((u64 *)(r1 -8))', 'db 12 f8ff 00010000'],
  ['store_release((u8 *)(r1 +4), r2)', 'd3 21 0400 10010000'],
  ['store_release((u16 *)(r1 +4), r2)', 'cb 21 0400 10010000'],
  ['store_release((u32 *)(r1 +4), r2)', 'c3 21 0400 10010000'],
  ['store_release((u64 *)(r1 -8), r2)', 'db 21 f8ff 10010000'],
];

test('every instruction of RFC 9669 has the bytes of its text, and the text of its bytes', () => {
  for (const [text, spaced] of INSTRUCTIONS) {
    const bytes = spaced.replaceAll(' ', '');
    assert.equal(assembled(text), bytes, text);
    assert.equal(disassembled(bytes), text);
  }
  assert.equal(new Set(INSTRUCTIONS.map(([text]) => text)).size, INSTRUCTIONS.length);
});

test('what LLVM and bpftool write otherwise is understood, too', () => {
  for (const [other, text] of [
    ['r1 = *(u32 *)(r2 + 4)', 'r1 = *(u32 *)(r2 +4)'],
    ['w1 = *(u32 *)(r2 + 0x4)', 'r1 = *(u32 *)(r2 +4)'],
    ['*(u8 *)(r10 - 0x4) = w2', '*(u8 *)(r10 -4) = r2'],
    ['if r1 s< -3 goto +1', 'if r1 s< 0xfffffffd goto pc+1'],
    ['goto -1', 'goto pc-1'],
    ['gotol +70000', 'gotol pc+70000'],
    ['call 51', 'call bpf_redirect_map#51'],
    ['call 0x33', 'call bpf_redirect_map#51'],
    ['call redirect_map', 'call bpf_redirect_map#51'],
    ['call bpf_redirect_map', 'call bpf_redirect_map#51'],
    ['call -1', 'call pc-1'],
    ['r1 = -0x5', 'r1 = -5'],
    ['w1 = 0xffffffff', 'w1 = -1'],
    ['r1 = -1 ll', 'r1 = 0xffffffffffffffff ll'],
    ['12: (18) r1 = 0x5', 'r1 = 0x5 ll'],
    ['3: (b7) r1 = 5 ; R1_w=5', 'r1 = 5'],
    ['r1=5//five', 'r1 = 5'],
    ['w2 = atomic_fetch_add((u32 *)(r1 + 4), w2)', 'r2 = atomic_fetch_add((u32 *)(r1 +4), r2)'],
    ['r2 = atomic_fetch_add((u64 *)(r1 + 8), r2)', 'r2 = atomic64_fetch_add((u64 *)(r1 +8), r2)'],
    ['r3 = xchg_64(r2 + 24, r3)', 'r3 = atomic64_xchg((u64 *)(r2 +24), r3)'],
    ['w3 = xchg32_32(r2 + 24, w3)', 'r3 = atomic_xchg((u32 *)(r2 +24), r3)'],
    ['w2 = load_acquire((u8 *)(r1 + 0x4))', 'r2 = load_acquire((u8 *)(r1 +4))'],
    ['store_release((u32 *)(r1 - 0x4), w2)', 'store_release((u32 *)(r1 -4), r2)'],
    ['r0 = *(u8 *)skb[r1]', 'r0 = *(u8 *)skb[r1 + 0]'],
    ['r0 = *(u8 *)skb[r1 - 5]', 'r0 = *(u8 *)skb[r1 + -5]'],
    ['goto +0x3 <LBB0_2>', 'goto pc+3'],
    ['gotol -0x3 <f+0x238> ', 'gotol pc-3'],
    ['call pc+2#bpf_prog_5bbbe8a7271c8ff4_F', 'call pc+2'],
    ['r0 = cmpxchg_64(r2 + 32, r0, r7)', 'r0 = atomic64_cmpxchg((u64 *)(r2 +32), r0, r7)'],
    ['w0 = cmpxchg32_32(r2 + 32, w0, w7)', 'r0 = atomic_cmpxchg((u32 *)(r2 +32), r0, r7)'],
  ] as const) {
    assert.equal(disassemble(assembleInstructions(other)), `${text}\n`, other);
  }
});

test('any slots come back the same, with slots in front and labels or without', () => {
  const random = new Random(9669);
  const known = INSTRUCTIONS.map(([, bytes]) => Buffer.from(bytes.replaceAll(' ', ''), 'hex'));
  let readable = 0;
  for (let round = 0; round < 400; round++) {
    // Instructions with other operands, some of them with bits where none may be, and some of random bytes.
    const bytes = Buffer.concat(Array.from({ length: random.below(40) }, () => Buffer.from(random.pick(known))));
    for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
      if (random.oneIn(10)) random.fill(bytes, at, at + SLOT_BYTES);
      if (random.oneIn(3)) bytes[at + 1] = random.below(11) | (random.below(11) << 4);
      if (random.oneIn(3)) bytes.writeInt16LE(random.between(-20, 20), at + 2);
      if (random.oneIn(3)) bytes.writeInt32LE(random.pick([random.word() | 0, random.between(-20, 20)]), at + 4);
    }
    const instructions = decodeInstructions(bytes);
    for (const options of [{}, { slots: true }, { labels: true }, { slots: true, labels: true }]) {
      const text = disassemble(instructions, options);
      assert.equal(assembled(text), hex(bytes), `round ${round}: ${text}`);
      readable += text.split('\n').filter((line) => !line.includes('.slot')).length;
    }
  }
  assert.ok(readable > 10_000, `${readable} lines are no bytes`);
});

test('random programs come back the same without a slot written as bytes, and so does their text', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const random = new Random(seed);
    const instructions = randomProgram(random, random.between(1, 80));
    const text = disassemble(instructions, { labels: random.oneIn(2), slots: random.oneIn(2) });
    assert.ok(!text.includes('.slot'), `seed ${seed}: ${text}`);
    assert.deepEqual(assembleInstructions(text), instructions, `seed ${seed}`);
  }
});

test('slots, operation codes and labels are written on demand', () => {
  const text = 'again: r1 = 0x500000001 ll\nif r1 > 5 goto done\nr1 += 1\ngoto again\ndone: exit\n';
  const instructions = assembleInstructions(text);
  assert.equal(disassemble(instructions), 'r1 = 0x500000001 ll\nif r1 > 0x5 goto pc+2\nr1 += 1\ngoto pc-5\nexit\n');
  assert.equal(
    disassemble(instructions, { slots: true, labels: true }),
    [
      'slot_0:',
      '0: (18) r1 = 0x500000001 ll',
      '2: (25) if r1 > 0x5 goto slot_5',
      '3: (07) r1 += 1',
      '4: (05) goto slot_0',
      'slot_5:',
      '5: (95) exit',
      '',
    ].join('\n'),
  );
});

test('places outside of the program and within wide instructions get no label', () => {
  const text = 'goto pc+1\nr1 = 0x5 ll\ngoto pc+9\ngoto pc-9\n';
  assert.equal(disassemble(assembleInstructions(text), { labels: true }), text);
});

test('half a wide instruction, registers that there are not and unused fields are written as bytes', () => {
  assert.equal(disassemble([wideInstruction(1, 5n)[0]]), '.slot 18 01 00 00 05 00 00 00\n');
  assert.equal(disassembled('b70f000001000000'), '.slot b7 0f 00 00 01 00 00 00');
  assert.equal(disassembled('9500010000000000'), '.slot 95 00 01 00 00 00 00 00');
  assert.equal(disassembled('d401000011000000'), '.slot d4 01 00 00 11 00 00 00');
});

test('a long jump reaches where a short one does not', () => {
  const body = 'r1 += 1\n'.repeat(40_000);
  const [first] = assembleInstructions(`gotol end\n${body}end: exit\n`);
  assert.deepEqual(first, instruction(BPF_JMP32 | BPF_JA, { immediate: 40_000 }));
  assert.throws(() => assembleInstructions(`goto end\n${body}end: exit\n`), /text:1:6: label end is 40000 slots away/);
});

test('indexes of maps that the text does not declare stay as they are', () => {
  assert.deepEqual(assembleInstructions('r1 = map[index:7]'), wideInstruction(1, 7n, BPF_PSEUDO_MAP_IDX));
});
