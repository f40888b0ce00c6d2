import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { tp4 } from './test-support.js';

const CAPTURE = 'captures/veth-mixed.pcap';
const COUNT = 'examples/xdp/count-protocols.s';
const TRAFFIC = 'test/objects/traffic.o';
const REFLECT = 'examples/xdp/reflect.s';

const folder = mkdtempSync(join(tmpdir(), 'tp4-xdp-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function run(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await tp4('xdp', 'run', ...args, '--capture', CAPTURE);
  assert.equal(status, 0, stderr);
  return stdout;
}

test('run shows the verdict on each packet, how many had which, and what one costs', async () => {
  const lines = (await run(COUNT)).split('\n');
  assert.match(lines[0]!, /^packet +length +verdict +instructions$/);
  const table = lines.slice(1, 2605).map((line) => line.trim().split(/ +/));
  assert.deepEqual(table[0], ['1', '90', 'pass', '9']);
  assert.deepEqual(table[18], ['19', '99', 'drop', '26']);
  assert.equal(table.filter(([, , verdict]) => verdict === 'drop').length, 145);
  assert.equal(lines[2606], '2604 packets: 2459 pass, 145 drop');
  assert.match(lines[2607]!, /^a packet takes \d+\.\d instructions and \d+ ns in the interpreter on average$/);
});

test('--maps shows what the program has left in them', async () => {
  const text = await run(COUNT, '--summary', '--maps', '--seconds', '0');
  assert.match(
    text,
    /^2604 packets: .*\na packet takes 18\.\d instructions on average\n\nmap protocols: array, key 4, value 8, 256 entries\n/,
  );
  assert.match(text, /^ {2}\[6\] {3}f0 01 00 00 00 00 00 00 {2}= 496$/m);
  assert.equal(text.match(/^ {2}\[/gm)!.length, 3, 'protocols without packets are left out');
});

test('--trace shows each instruction with what it wrote, and where pointers point', async () => {
  const text = await run(REFLECT, '--only', '1', '--trace', '--seconds', '0');
  const lines = text.split('\n');
  assert.match(lines[1]!, /^ +1 +90 +tx +15 {2}changed$/);
  assert.match(lines[2]!, /^ +0: \(61\) r2 = \*\(u32 \*\)\(r1 \+0\) +r2 = 0x[\da-f]+ \(packet\+0\)$/);
  assert.match(lines[3]!, /\(packet\+90\)$/);
  assert.match(lines[7]!, /^ +5: \(61\) r4 = \*\(u32 \*\)\(r2 \+0\) +r4 = 0x3333$/);
  assert.match(lines[16]!, /^ +14: \(95\) exit$/);
});

test('--json has it all for programs', async () => {
  const report = JSON.parse(await run(COUNT, '--only', '19,1-2', '--json', '--trace', '--maps'));
  assert.deepEqual(report.verdicts, { pass: 2, drop: 1 });
  assert.ok(report.nanoseconds > 0);
  const { trace, ...facts } = report.packets[2];
  assert.deepEqual(facts, {
    number: 19,
    length: 99,
    verdict: 'drop',
    instructions: 26,
    lengthAfter: 99,
    changed: false,
  });
  assert.deepEqual(trace[10], {
    program: 'count_protocols',
    slot: 18,
    instruction: '(63) *(u32 *)(r10 -4) = r1',
    registers: {},
  });
  const { value, pointsTo } = trace[14].registers.r0;
  assert.match(value, /^0x[\da-f]+$/);
  assert.equal(pointsTo, 'protocols[17]+0');
  assert.deepEqual(report.maps[0].entries, [{ key: '11000000', value: '0100000000000000' }]);
});

test('faults, redirections and packets of another length are told', async () => {
  const path = file(
    'several.s',
    `.function fails
      r1 = *(u32 *)(r1 +0)
      r1 += 5000
      r0 = *(u8 *)(r1 +0)
      exit
    .function loops
      goto -1
    .function grows
      r2 = -20
      call bpf_xdp_adjust_head#44
      r0 = 2
      exit
    .function redirects
      r1 = *(u32 *)(r1 +12)
      r2 = 0
      call bpf_redirect#23
      exit
    .function strange
      r0 = 77
      exit`,
  );
  const shown = async (program: string) =>
    (await run(path, '--program', program, '--only', '1', '--ingress', '7', '--seconds', '0')).split('\n')[1]!.trim();
  assert.match(await shown('fails'), /aborted +3 {2}slot 2: an access outside of packet, stack and maps$/);
  assert.match(await shown('loops'), /aborted +\d+ {2}slot 0: more than 16777216 instructions$/);
  assert.match(await shown('grows'), /pass +4 {2}now 110 bytes$/);
  assert.match(await shown('redirects'), /redirect +4 {2}to interface 7$/);
  assert.match(await shown('strange'), /invalid 77 +2$/);
});

test('test says whether verdicts are those expected', async () => {
  const check = (...args: string[]) => tp4('xdp', 'test', ...args, '--capture', CAPTURE);
  const good = await check(COUNT, '--expect', 'pass*2,drop,pass', '--only', '1-2,19,20-22');
  assert.deepEqual([good.status, good.stdout], [0, '6 checked: all verdicts as expected\n'], good.stderr);
  const bad = await check(COUNT, '--expect', 'pass');
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /^packet 19: expected pass, got drop\n\n/);
  assert.match(bad.stdout, /^ +16: \(b7\) r0 = 1 +r0 = 0x1$/m);
  assert.equal((await check(REFLECT, '--expect', 'tx')).status, 0);
});

test('dump writes text that assembles to the same programs', async () => {
  const first = await tp4('xdp', 'dump', COUNT);
  assert.equal(first.status, 0, first.stderr);
  const again = await tp4('xdp', 'dump', file('again.s', first.stdout));
  assert.equal(again.stdout, first.stdout);
  const listed = await tp4('xdp', 'dump', COUNT, '--slots');
  assert.match(listed.stdout, /^ {3}4: \(2d\) if r2 > r7 goto pc\+9$/m);
  const relisted = await tp4('xdp', 'dump', file('listed.s', listed.stdout));
  assert.equal(relisted.stdout, first.stdout);
});

test('objects of clang run, with lines of source in their traces', async () => {
  const text = await run(
    'test/objects/globals.o',
    '--program',
    'packets_so_far',
    '--only',
    '3',
    '--trace',
    '--seconds',
    '0',
  );
  assert.match(
    text,
    /^ {4}; \.\/globals\.c:\d+: return packets;\n {4}0: \(18\) r1 = map\[globals\.bss\]\[0\]\+0 +r1 = 0x[\da-f]+ \(globals\.bss\[0\]\+0\)$/m,
  );
  const dumped = await tp4('xdp', 'dump', 'test/objects/globals.o', '--source');
  assert.match(dumped.stdout, /^; \.\/globals\.c:\d+: return packets;$/m);
  const assembled = file('globals.s', dumped.stdout);
  for (const program of ['packets_so_far', 'sum_of_variables']) {
    const packets = ['--program', program, '--only', '1-3', '--seconds', '0'];
    assert.equal(await run(assembled, ...packets), await run('test/objects/globals.o', ...packets));
  }
});

test('--set gives variables of an object values', async () => {
  const traffic = ['test/objects/traffic.o', '--program', 'traffic', '--summary', '--seconds', '0'];
  assert.match(await run(...traffic), /^2604 packets: 1474 pass, 985 tx, 145 drop$/m);
  const set = ['--set', 'blocked_port=0x1bb', '--set', 'friend=33:33:00:00:00:16'];
  assert.match(await run(...traffic, ...set), /^2604 packets: 2596 pass, 8 tx$/m);
});

test('help and wrong command lines', async () => {
  assert.match((await tp4('xdp', '--help')).stdout, /^tp4 xdp run FILE/);
  for (const name of ['run', 'test', 'dump', 'load']) {
    assert.match((await tp4('xdp', name, '--help')).stdout, new RegExp(`^tp4 xdp ${name} FILE`));
  }
  const two = file('two.s', '.function a\nexit\n.function b\nexit\n');
  for (const [args, says] of [
    [[], /no command is named\n.*run, test, dump, load, list/],
    [['rnu'], /there is no command tp4 xdp rnu \(did you mean run\?\)/],
    [['run'], /no program file is named/],
    [['run', COUNT, REFLECT, '--capture', CAPTURE], /one file at a time: "examples\/xdp\/reflect.s"/],
    [['run', COUNT], /no capture is named.*\n.*--capture FILE/],
    [['run', two, '--capture', CAPTURE], /has the programs a, b\n.*--program a/],
    [['run', two, '--capture', CAPTURE, '--program', 'c'], /--program: c is not one of a, b/],
    [['run', COUNT, '--capture', CAPTURE, '--set', 'limit=1'], /variables\.limit: assembler text has no variables/],
    [
      ['run', TRAFFIC, '--capture', CAPTURE, '--set', 'blocked_prot=1'],
      /the object has no variable blocked_prot\n.*it has .*blocked_port/,
    ],
    [['run', TRAFFIC, '--capture', CAPTURE, '--set', 'blocked_port'], /--set: "blocked_port" is not NAME=VALUE/],
    [['run', TRAFFIC, '--capture', CAPTURE, '--set', 'shortest=ten'], /"ten" is neither a whole number nor bytes/],
    [['run', TRAFFIC, '--capture', CAPTURE, '--set', 'friend=1', '--set', 'friend=2'], /--set: friend is there twice/],
    [['run', COUNT, '--capture', CAPTURE, '--map', 'a=/b'], /--map has no effect without --kernel linux/],
    [['run', COUNT, '--capture', CAPTURE, '--only', '5-2'], /--only: "5-2" is no number of a packet and no range/],
    [['run', COUNT, '--capture', CAPTURE, '--only', '9999'], /has no packet 9999\n.*1 to 2604/],
    [['run', COUNT, '--capture', CAPTURE, '--summary', '--trace'], /--trace has no effect with --summary/],
    [
      ['run', COUNT, '--capture', CAPTURE, '--kernel', 'linux', '--queue', '1'],
      /--queue has no effect with --kernel linux/,
    ],
    [['run', COUNT, '--capture', CAPTURE, '--kernel', 'bsd'], /--kernel: bsd is not one of soft, linux/],
    [['run', COUNT, '--capture', CAPTURE, '--seconds', '61'], /--seconds: 61 is not a number from 0 to 60/],
    [['test', COUNT, '--capture', CAPTURE], /nothing is expected\n.*--expect drop,pass\*3/],
    [
      ['test', COUNT, '--capture', CAPTURE, '--expect', 'pas'],
      /--expect: pas is not one of .*\n.*perhaps you mean pass/,
    ],
    [['test', COUNT, '--capture', CAPTURE, '--expect', 'pass*0'], /--expect: pass\*0 is no packet/],
    [['load', COUNT], /a program file and an interface are to be named/],
    [['load', COUNT, 'soft:none'], /soft:none is no interface of Linux/],
    [['load', COUNT, 'lo', '--seconds', '0'], /--seconds: 0 is not a number from 0.1 to 86400/],
    [['dump', COUNT, '--slot'], /there is no option --slot \(did you mean slots\?\)/],
  ] as const) {
    const { status, stdout, stderr } = await tp4('xdp', ...args);
    assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
    assert.equal(stdout, '');
    assert.match(stderr, says);
    assert.ok(stderr.trimEnd().split('\n').length <= 2, stderr);
  }
});

test('programs of an object that are not for XDP are told as such', async () => {
  const args = ['xdp', 'run', 'test/objects/places.o', '--capture', CAPTURE, '--program', 'for_tracing'];
  const { status, stderr } = await tp4(...args);
  assert.equal(status, 1);
  assert.match(stderr, /for_tracing is in section fentry\/xdp_do_redirect, which is not for XDP\n.*SEC\("xdp"\)/);
});

test('files that are no programs, or not there, are told with exit code 1', async () => {
  for (const [path, says] of [
    [join(folder, 'none.s'), /the program file .*none\.s cannot be read: ENOENT/],
    [file('wrong.s', 'r0 = 1\nr1 ='), /wrong\.s:2:5: expected a register, a number or another value/],
    [file('empty.s', '; nothing\n'), /empty\.s has no XDP programs/],
    [file('object.o', '\x7fELF'), /ELF/],
    [file('falls.s', 'r0 = 1\n'), /runs over its end/],
  ] as const) {
    const { status, stdout, stderr } = await tp4('xdp', 'run', path, '--capture', CAPTURE);
    assert.equal(status, 1, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, says);
  }
});
