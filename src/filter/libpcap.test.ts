import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { FILTER_EXPRESSIONS } from '../../test/support/filter-expressions.js';
import { filterPacket } from '../../test/support/filter-packets.js';
import { Random } from '../../test/support/random.js';
import { randomExpression } from '../../test/support/random-expression.js';
import { parseProgram, tcpdump, tcpdumpEach, whyNoTcpdump } from '../../test/support/tcpdump.js';
import { openCapture } from '../capture-file/open-capture.js';
import { PacketError } from '../errors.js';
import { disassembleClassicProgram } from './classic/disassemble.js';
import type { ClassicInstruction } from './classic/instruction.js';
import { ClassicInterpreter } from './classic/interpreter.js';
import { compileExpression } from './compile-expression.js';

/*
 * Verdicts of our programs against those of libpcap's, over packets that are random and packets that were captured. libpcap's own
 * optimiser changes verdicts on packets that end too early: it leaves out loads whose outcome does not matter. A verdict is right when
 * libpcap gives it, with its optimiser or without.
 */

const skip = whyNoTcpdump();
const SHARED = process.env.TP4_CAPTURES ?? join('..', 'shared', 'data', 'captures');
const LINKTYPE_ETHERNET = 1;
/** Of each file. */
const MOST_PACKETS = 400;

/** libpcap's program of each expression, asked for once. */
let programs: Promise<(string | undefined)[]> | undefined;
function libpcapPrograms(): Promise<(string | undefined)[]> {
  programs ??= tcpdumpEach(FILTER_EXPRESSIONS, '-ddd');
  return programs;
}

const compile = (expression: string): ClassicInstruction[] =>
  compileExpression(expression, { link: 'ethernet', tagMayBeBeside: false });

const accepts = (program: ClassicInterpreter, packet: Uint8Array): boolean =>
  program.run(packet, 0, packet.length) !== 0;

function randomPackets(random: Random, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => filterPacket(random));
}

function capturedPackets(path: string): Uint8Array[] {
  const file = readFileSync(path);
  const reader = openCapture(path.endsWith('.gz') ? gunzipSync(file) : file);
  const packets: Uint8Array[] = [];
  while (packets.length < MOST_PACKETS && reader.next()) {
    const { offset, length, linkType } = reader.packet;
    if (linkType !== LINKTYPE_ETHERNET) break;
    packets.push(Uint8Array.from(reader.bytes.subarray(offset, offset + length)));
  }
  return packets;
}

/** The packets on which our verdicts differ from libpcap's are none. @param printed libpcap's program */
function compareVerdicts(expression: string, printed: string, packets: readonly Uint8Array[]): void {
  const ours = new ClassicInterpreter(compile(expression));
  const optimised = new ClassicInterpreter(parseProgram(printed));
  let plain: ClassicInterpreter | undefined;
  for (const packet of packets) {
    const verdict = accepts(ours, packet);
    if (verdict === accepts(optimised, packet)) continue;
    plain ??= new ClassicInterpreter(parseProgram(tcpdump(expression, '-ddd', '-O')!));
    if (verdict === accepts(plain, packet)) continue;
    assert.fail(`"${expression}" ${verdict ? 'accepts' : 'refuses'} ${Buffer.from(packet).toString('hex')}`);
  }
}

/** Where libpcap finds that no packet can match, none does. */
function expectNone(expression: string, packets: readonly Uint8Array[]): void {
  const ours = new ClassicInterpreter(compile(expression));
  assert.ok(!packets.some((packet) => accepts(ours, packet)), expression);
}

/** libpcap finds divisors that come to 0 in its optimiser only. */
function dividesByZero(expression: string): boolean {
  try {
    compile(expression);
    return false;
  } catch (error) {
    assert.match((error as Error).message, /divides by 0/);
    return true;
  }
}

test('each expression gives the verdicts of libpcap', { skip }, async () => {
  const packets = randomPackets(new Random(1), 2000);
  packets.push(...capturedPackets(join('captures', 'veth-mixed.pcap')));
  const printed = await libpcapPrograms();
  let compared = 0;
  for (const [index, expression] of FILTER_EXPRESSIONS.entries()) {
    const program = printed[index];
    if (program === undefined) expectNone(expression, packets);
    else compareVerdicts(expression, program, packets);
    if (program !== undefined) compared++;
  }
  assert.ok(compared > 650, `${compared} of ${FILTER_EXPRESSIONS.length}`);
});

const noFiles = existsSync(SHARED) ? false : `no folder ${SHARED}`;
test('each expression gives the verdicts of libpcap over packets of many programs', {
  skip: skip || noFiles,
}, async () => {
  const files = readdirSync(SHARED).filter((name) => /^(zeek|tcpdump)-.*\.(pcap|pcap\.gz)$/.test(name));
  const packets = files.flatMap((name) => capturedPackets(join(SHARED, name)));
  assert.ok(packets.length > 1000);
  const printed = await libpcapPrograms();
  for (const [index, expression] of FILTER_EXPRESSIONS.entries()) {
    const program = printed[index];
    if (program !== undefined) compareVerdicts(expression, program, packets);
  }
});

test('property: random expressions give the verdicts of libpcap', { skip }, async () => {
  const random = new Random(2);
  const packets = randomPackets(random, 1500);
  const expressions = Array.from({ length: 250 }, () => randomExpression(random));
  const printed = await tcpdumpEach(expressions, '-ddd');
  let compared = 0;
  for (const [index, expression] of expressions.entries()) {
    const program = printed[index];
    if (program !== undefined) {
      compareVerdicts(expression, program, packets);
      compared++;
      continue;
    }
    // Refused, or never true; which of both, libpcap tells without its optimiser.
    if (tcpdump(expression, '-ddd', '-O') === undefined) {
      assert.throws(() => compile(expression), PacketError, expression);
    } else if (!dividesByZero(expression)) expectNone(expression, packets);
  }
  assert.ok(compared > 150, `${compared}`);
});

test('programs are written down as tcpdump -d does', { skip }, async () => {
  const expressions = [
    ...FILTER_EXPRESSIONS.filter((_, index) => index % 6 === 0),
    'inbound',
    'ip[0] + ip[1] = -ip[2]',
    'len / ip[0] = 3',
    'ip[ip[0]:4] = tcp[ip[1]]',
  ];
  const [numbers, texts] = await Promise.all([tcpdumpEach(expressions, '-ddd'), tcpdumpEach(expressions, '-d')]);
  for (const [index, expression] of expressions.entries()) {
    const printed = numbers[index];
    if (printed === undefined) continue;
    const lines = texts[index]!.trimEnd().split('\n');
    assert.deepEqual(
      disassembleClassicProgram(parseProgram(printed))
        .split('\n')
        .map((line) => line.trimEnd()),
      lines.map((line) => line.trimEnd()),
      expression,
    );
  }
});

/** Mistakes that libpcap finds, too. */
const REFUSED = [
  ...[
    'host',
    'port',
    'port 70000',
    'portrange 1-70000',
    'net 10.0.0.1/8',
    'net 10.0.0.0/33',
    'host 10.0.0.0/8',
    'host 256.1.1.1',
  ],
  ...[
    'tcp tcp',
    'ip host 2001:db8::1',
    'ip6 host 10.0.0.1',
    'tcp host 10.0.0.1',
    'ether host 10.0.0.1',
    'host 02:00:00:00:00:01',
  ],
  ...[
    'and ip',
    'ip and',
    'ip or or tcp',
    '(ip',
    'ip)',
    '()',
    'not',
    'ip[0',
    'ip[0:3] = 1',
    'ip[0] =',
    'ip[0]',
    'tcp port',
    'ip =',
  ],
  ...[
    'vlan 4096',
    'mpls 0x100000',
    'pppoes 0x10000',
    'mpls and vlan',
    'arp broadcast',
    'tcp multicast',
    'ip6 broadcast',
  ],
  ...[
    'ip[8] / 0 = 1',
    'ip[8] % 0 = 1',
    'ip[8] << 32 = 1',
    'less',
    'llc xyz',
    'ip proto nonsense',
    'port nonsense',
    'icmp port 5',
  ],
  ...[
    'mpls and arp',
    'len',
    '5',
    '10.0.0.1',
    'tcp[0] & 1',
    'ip proto 6 7',
    'host 10.0.0.1 10.0.0.2',
    'ether proto \\nonsense',
    '$',
  ],
];

test('what libpcap refuses is refused', { skip }, async () => {
  const printed = await tcpdumpEach(REFUSED, '-ddd', '-O');
  for (const [index, expression] of REFUSED.entries()) {
    assert.throws(() => compile(expression), PacketError, expression);
    assert.equal(printed[index], undefined, expression);
  }
});
