import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { interpreter } from '../interpreter/interpreter.js';
import { prepareObject } from '../prepare-object.js';
import { assemble } from '../text/assemble.js';
import { createXdpHelpers } from './xdp-helpers.js';

const hex = (text: string) =>
  [...Buffer.from(`${text}\0`, 'latin1')].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');

/** Prints a format with three numbers, which may be the address of the packet (`data`). */
function print(format: string, values: readonly (bigint | 'data')[], size = format.length + 1) {
  const lines: string[] = [];
  const runs = new EbpfRuns({ helpers: createXdpHelpers({ trace: (line) => lines.push(line) }) });
  const put = (value: bigint | 'data' = 0n, register: number) =>
    value === 'data' ? `r${register} = r6` : `r${register} = ${value} ll`;
  const source = `
    .map text array key 4 value 256 entries 1
    .value ${hex(format)}
    .function print
      r6 = *(u32 *)(r1 +0)
      r1 = map[text][0]+0
      r2 = ${size}
      ${values.map((value, index) => put(value, index + 3)).join('\n')}
      call bpf_trace_printk
      exit`;
  const { executables } = prepareObject(assemble(source), runs.machine, interpreter);
  const packet = new Uint8Array(64);
  packet.set([192, 168, 0, 1, ...Buffer.from('text\0')]);
  return { result: BigInt.asIntN(64, runs.run(executables[0]!, packet).result), lines };
}

test('formats are printed as the kernel does', () => {
  const cases: [format: string, values: (bigint | 'data')[], line: string][] = [
    ['plain %% text', [], 'plain % text'],
    ['%d %u %x', [2n ** 64n - 1n, 2n ** 32n + 7n, 255n], '-1 7 ff'],
    ['%lld %llu %lX', [2n ** 64n - 1n, 2n ** 64n - 1n, 0xabcdef0123n], '-1 18446744073709551615 ABCDEF0123'],
    ['[%5d|%-5d|%05d]', [-3n, -3n, -3n], '[   -3|-3   |-0003]'],
    ['%#x %08x %c', [0x1fn, 0x1fn, 65n], '0x1f 0000001f A'],
    ['%pI4 %pi4', ['data', 'data'], '192.168.0.1 192.168.000.001'],
    ['%pI4', [1n], '(efault)'],
    ['%s|', [1n], '|'],
    ['%d\n', [5n], '5'],
  ];
  for (const [format, values, line] of cases) {
    const printed = print(format, values);
    assert.deepEqual(printed.lines, [line], format);
  }
  assert.equal(print('%d\n', [5n]).result, 2n);
});

test('what is no format is not printed', () => {
  for (const format of ['%', '%q', '%d %', '%lls', '%hd', 'ä', '%d %d %d %d']) {
    assert.deepEqual(print(format, [1n, 2n, 3n]), { result: -22n, lines: [] }, format);
  }
  assert.deepEqual(print('no end', [], 3), { result: -22n, lines: [] });
  assert.deepEqual(print('long', [], 2 ** 30), { result: -14n, lines: [] });
});

test('trace_vprintk and snprintf take their values from memory', () => {
  const lines: string[] = [];
  const runs = new EbpfRuns({ helpers: createXdpHelpers({ trace: (line) => lines.push(line) }) });
  const source = (room: number, bytes: number) => `
    .map text array key 4 value 64 entries 1 frozen
    .value ${hex('%d-%x %s')}
    .map out array key 4 value 16 entries 1
    .function print
      r6 = *(u32 *)(r1 +0)
      *(u64 *)(r10 -24) = 7
      *(u64 *)(r10 -16) = 31
      *(u64 *)(r10 -8) = r6
      r1 = map[text][0]+0
      r2 = 64
      r3 = r10
      r3 += -24
      r4 = ${bytes}
      call bpf_trace_vprintk
      r7 = r0
      r1 = map[out][0]+0
      r2 = ${room}
      r3 = map[text][0]+0
      r4 = r10
      r4 += -24
      r5 = ${bytes}
      call bpf_snprintf
      exit`;
  const run = (room: number, bytes: number) => {
    const { executables, maps } = prepareObject(assemble(source(room, bytes)), runs.machine, interpreter);
    const { result } = runs.run(executables[0]!, Uint8Array.from([...Buffer.from('abcdef\0'), ...new Uint8Array(57)]));
    const out = maps.find(({ definition }) => definition.name === 'out')!.lookup(new Uint8Array(4))!;
    return { result: BigInt.asIntN(64, result), text: Buffer.from(out).toString('latin1').replaceAll('\0', '.') };
  };
  assert.deepEqual(run(16, 24), { result: 12n, text: '7-1f abcdef.....' });
  assert.deepEqual(run(6, 24), { result: 12n, text: '7-1f ...........' });
  assert.deepEqual(lines, ['7-1f abcdef', '7-1f abcdef']);
  assert.deepEqual(run(16, 16), { result: -22n, text: '................' });
  assert.deepEqual(run(16, 20), { result: -22n, text: '................' });
});
