import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as ebpf from 'tpacket4/ebpf';

const { BPF_ALU64, BPF_EXIT, BPF_JMP, BPF_MOV } = ebpf.opcodes;

test('what the entry exports is enough to run a program', () => {
  const arena = ebpf.Arena.create(2 ** 20);
  const machine = new ebpf.Machine(arena, { helpers: ebpf.XDP_HELPERS, bytes: 65536 });
  const program = ebpf.createProgram([
    ebpf.instruction(BPF_ALU64 | BPF_MOV, { immediate: ebpf.XDP_TX }),
    ebpf.instruction(BPF_JMP | BPF_EXIT),
  ]);
  const record = arena.allocate(ebpf.PACKET_RECORD_BYTES).offset;
  arena.clear({ offset: record, bytes: ebpf.PACKET_RECORD_BYTES });
  ebpf.interpreter.prepare({ program, maps: [] }, machine).run(record, 1);
  assert.equal(arena.i32[(record >> 2) + ebpf.PACKET_VERDICT], ebpf.XDP_TX);
});

test('all words of a packet record and all of the context are exported', () => {
  const source = readFileSync(new URL('../../src/ebpf/execution.ts', import.meta.url), 'utf8');
  const names = [...source.matchAll(/^export const (\w+)/gm)].map(([, name]) => name!);
  assert.ok(names.length > 30);
  assert.deepEqual(
    names.filter((name) => !(name in ebpf)),
    [],
  );
});
