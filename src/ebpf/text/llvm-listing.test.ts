import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeInstructions } from '../instruction.js';
import { assembleInstructions } from './assemble.js';
import { disassemble } from './disassemble.js';
import { LLVM_LISTING } from './llvm-listing.test-support.js';

const SOURCE = `
typedef unsigned long long u64; typedef unsigned int u32; typedef unsigned short u16; typedef unsigned char u8;
typedef long long s64; typedef int s32;
static long (*lookup)(u64 *, void *) = (void *)1;
__attribute__((section("xdp"))) int program(u64 *p) {
  u64 a = p[0]; s64 b = p[1]; u32 c = *(u32 *)(p + 2);
  __sync_fetch_and_add(p, 3);
  u64 z = __sync_fetch_and_add(p + 1, a);
  u64 x = __sync_lock_test_and_set(p + 3, b);
  u64 y = __sync_val_compare_and_swap(p + 4, a, b);
  z += __sync_fetch_and_and(p + 5, a) + __sync_fetch_and_or(p + 5, a) + __sync_fetch_and_xor(p + 5, a);
  z += __sync_val_compare_and_swap((u32 *)p + 21, c, (u32)z) + __sync_lock_test_and_set((u32 *)p + 22, c);
  if (b < 5) a = -a;
  if (c > 7) c = -c;
  if ((s32)c < -3) c >>= 3;
  a = __builtin_bswap64(a) + __builtin_bswap16(c) + __builtin_bswap32(b);
  b >>= 3; a <<= 7;
  if (a & 8) a |= 0x1234567890abcdefull;
  if (a == b) a %= 7;
  a /= b;
  *(u8 *)p = a; *((u16 *)p + 1) = c; *(u32 *)p = 5; z ^= x * y;
  for (int i = 0; i < c; i++) z += lookup(p, &z);
  return a + c + z;
}
`;

function missing(): string | false {
  for (const tool of ['clang', 'llvm-objdump']) {
    if (spawnSync(tool, ['--version']).status !== 0) return `${tool} is not installed`;
  }
  return !execFileSync('clang', ['-print-targets']).includes('bpf') && 'this clang has no BPF target';
}

interface Listed {
  /** Two hexadecimal digits each. */
  readonly bytes: string;
  readonly text: string;
}

/** Instructions of an object that clang has just made, as llvm-objdump lists them. */
function compile(): Listed[] {
  const folder = mkdtempSync(join(tmpdir(), 'tp4-clang-'));
  try {
    const [source, object] = [join(folder, 'a.c'), join(folder, 'a.o')];
    writeFileSync(source, SOURCE);
    execFileSync('clang', ['-O2', '-target', 'bpf', '-mcpu=v3', '-c', source, '-o', object]);
    const listed = execFileSync('llvm-objdump', ['-d', '--mattr=+alu32', object], { encoding: 'utf8' });
    return [...listed.matchAll(/^ *\d+:\t((?:[\da-f]{2} )*[\da-f]{2})\t(.*)$/gm)].map(([, bytes, text]) => ({
      bytes: bytes!.replaceAll(' ', ''),
      text: text!,
    }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function checkText({ bytes, text }: Listed): void {
  const instructions = assembleInstructions(text);
  assert.equal(Buffer.from(encodeInstructions(instructions)).toString('hex'), bytes, text);
  const ours = disassemble(instructions);
  assert.ok(!ours.includes('.slot'), ours);
  assert.deepEqual(assembleInstructions(ours), instructions);
}

test("llvm-objdump's text of every instruction, as recorded, assembles to its bytes, and so does ours", () => {
  const recorded = LLVM_LISTING.trim().split('\n');
  assert.ok(recorded.length > 160, `${recorded.length} instructions`);
  for (const line of recorded) {
    const [bytes, text] = line.split(' | ') as [string, string];
    checkText({ bytes: bytes.replaceAll(' ', ''), text });
  }
});

test("llvm-objdump's text of what clang compiles assembles to clang's bytes, and so does ours", {
  skip: missing(),
}, () => {
  const compiled = compile();
  assert.ok(compiled.length > 60, `${compiled.length} instructions`);
  compiled.forEach(checkText);
});
