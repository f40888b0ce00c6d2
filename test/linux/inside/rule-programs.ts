import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { CaptureReader } from '../../../src/capture-file/contract.js';
import { openCapture } from '../../../src/capture-file/open-capture.js';
import { createProgram } from '../../../src/ebpf/create-program.js';
import { XDP_DROP, XDP_PASS, XDP_TX } from '../../../src/ebpf/execution.js';
import { PacketError } from '../../../src/errors.js';
import { readCapture } from '../../../src/host/read-capture.js';
import { SOCK_CLOEXEC, SOCK_RAW } from '../../../src/linux-kernel/constants.js';
import { loadProgram } from '../../../src/linux-kernel/programs/program-loading.js';
import { TestRuns } from '../../../src/linux-kernel/programs/test-run.js';
import { attachReceiveFilter } from '../../../src/linux-kernel/receive-filter.js';
import { type ParsedReceive, parseReceive } from '../../../src/linux-kernel/receive-rules.js';
import { fillTables } from '../../../src/linux-kernel/rule-maps.js';
import { Struct } from '../../../src/linux-kernel/struct.js';
import { SystemCalls } from '../../../src/linux-kernel/system-calls.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { codeForQueues, type QueueRules } from '../../../src/steering/programs/rule-code.js';
import { xdpProgram, xdpVerdict } from '../../../src/steering/programs/xdp-program.js';
import type { FlowRule, ParsedRule } from '../../../src/steering/rules.js';
import { randomPacket } from '../../support/header-packets.js';
import { udpPacket } from '../../support/packets.js';
import { Random } from '../../support/random.js';
import { type Decision, randomRules, softDecision, softVerdict } from '../../support/verdicts.js';
import { VethPair } from '../../support/veth-pair.js';
import { openXdp } from '../../support/xdp-session.js';

const pair = VethPair.inherited();
after(() => pair.close());
const calls = await SystemCalls.load();
const testRuns = new TestRuns(calls);

const parsed = (rules: readonly FlowRule[]): readonly ParsedRule[] =>
  parseReceive(rules, { who: 'a test' }) as readonly ParsedRule[];

/** Loads a program that answers what these lists ask for with XDP_TX, instead of handing it to sockets, and runs `use` with it. */
function withProgram(lists: readonly QueueRules[], use: (program: number) => void): void {
  const { code, tables } = codeForQueues(lists, [], 0);
  const maps = tables.length > 0 ? [fillTables(calls, tables)] : [];
  const instructions = xdpProgram(code, xdpVerdict(XDP_TX));
  const program = loadProgram(
    calls,
    createProgram(instructions, { maps: maps.map(({ definition }) => definition) }),
    maps.map(({ handle }) => handle),
  );
  for (const map of maps) map.close();
  try {
    use(program);
  } finally {
    calls.close(program);
  }
}

const hex = (packet: Uint8Array): string => Buffer.from(packet).toString('hex');

const VERDICTS: Readonly<Record<number, Decision>> = { [XDP_TX]: 'socket', [XDP_PASS]: 'stack', [XDP_DROP]: 'drop' };

test('property: XDP programs in the kernel and the soft kernel decide alike, whether they test rules or look them up', () => {
  const seen: Record<Decision, number> = { socket: 0, stack: 0, drop: 0 };
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const many: FlowRule[] =
      seed % 3 === 0
        ? Array.from({ length: 50 }, (_, port) => ({
            protocol: 'udp',
            port,
            to: random.pick(['socket', 'stack', 'drop']),
          }))
        : [];
    const rules = [
      ...many,
      ...randomRules(random, random.between(1, 6), seed % 2 === 0 ? ['socket', 'stack', 'drop'] : []),
    ];
    const soft = softDecision(rules);
    withProgram([{ queues: [0], rules: parsed(rules) }], (program) => {
      for (let i = 0; i < 150; i++) {
        const packet = i % 10 === 0 ? udpPacket({ destinationPort: random.below(50) }) : randomPacket(random, 14);
        const decision = VERDICTS[testRuns.run(program, packet).verdict];
        if (decision !== soft(packet))
          assert.fail(`seed ${seed}, ${JSON.stringify(rules)}, ${hex(packet)}: ${decision}`);
        seen[decision]++;
      }
    });
  }
  for (const count of Object.values(seen)) assert.ok(count > 200, JSON.stringify(seen));
});

const folders = [process.env.TP4_CAPTURES ?? join('..', 'shared', 'data', 'captures'), 'captures'].filter(existsSync);
const files = folders
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((path) => /\.(pcap|pcapng)(\.gz)?$/.test(path))
  .sort();
const noFiles = files.length === 0 ? `no captures in ${folders.join(' or ')}` : false;

/** A damaged file ends where the damage begins. */
function nextPacket(capture: CaptureReader): boolean {
  try {
    return capture.next();
  } catch (error) {
    if (error instanceof PacketError) return false;
    throw error;
  }
}

test('XDP programs and the soft kernel decide alike on captured packets', { skip: noFiles }, async () => {
  const rules: readonly FlowRule[][] = [
    [{ protocol: 'udp', port: 53 }, { etherType: 'arp' }],
    [{ protocol: 'tcp', destinationPort: [1, 1023] }, { protocol: 'icmp6' }, { address: 'fe80::/10' }],
    [{ vlan: 7 }, { source: '192.0.2.0/24', protocol: 'tcp' }, { destination: '224.0.0.0/4' }],
  ];
  const captures = await Promise.all(files.map(readCapture));
  for (const list of rules) {
    const soft = softVerdict(list);
    withProgram([{ queues: [0], rules: parsed(list) }], (program) => {
      let matched = 0;
      for (const [index, bytes] of captures.entries()) {
        const capture = openCapture(bytes);
        for (let i = 0; i < 100; i++) {
          if (!nextPacket(capture)) break;
          const { offset, length } = capture.packet;
          if (length < 14) continue;
          const packet = bytes.slice(offset, offset + Math.min(length, 1500));
          const accepted = testRuns.run(program, packet).verdict === XDP_TX;
          assert.equal(accepted, soft(packet), `${files[index]}, packet ${i}, ${JSON.stringify(list)}`);
          if (accepted) matched++;
        }
      }
      assert.ok(matched > 0);
    });
  }
});

test('hundreds of rules for each of two queues are told apart', async () => {
  // A program that is attached gives the interface its queues, as far as test runs are concerned.
  const session = await openXdp({
    interface: pair.near.interface,
    queue: 0,
    mode: 'xdp-copy',
    receive: 'all',
    frames: 4096,
  });
  const interfaceIndex = calls.interfaceIndex(pair.near.interface);
  const lists = [0, 1].map((queue) => ({
    queues: [queue],
    rules: parsed(
      Array.from({ length: 500 }, (_, i): FlowRule => ({ protocol: 'udp', destinationPort: 2 * i + queue })),
    ),
  }));
  withProgram(lists, (program) => {
    for (const queue of [0, 1]) {
      for (const port of [0, 1, 126, 127, 128, 129, 500, 501, 998, 999, 1000, 1001]) {
        const packet = udpPacket({ destinationPort: port });
        const { verdict } = testRuns.run(program, packet, 1, { interfaceIndex, queue });
        assert.equal(verdict === XDP_TX, port % 2 === queue && port < 1000, `port ${port}, queue ${queue}`);
      }
    }
  });
  withProgram(lists.slice(1), (program) => {
    const packet = udpPacket({ destinationPort: 2 });
    assert.equal(testRuns.run(program, packet, 1, { interfaceIndex, queue: 0 }).verdict, XDP_TX); // no rules there: all packets
    assert.notEqual(testRuns.run(program, packet, 1, { interfaceIndex, queue: 1 }).verdict, XDP_TX);
  });
  await session.close();
});

const AF_PACKET = 17;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const ETH_P_ALL_BIG_ENDIAN = 0x0300;
/** EtherType of the packet that follows each packet of the test, and that a rule of its own lets through. */
const SENTINEL: FlowRule = { etherType: 0x88b5 };

/** A packet socket on the loopback interface, and an AF_XDP socket that sends there. */
async function openLoopback() {
  const sender = await openXdp({ interface: 'lo', mode: 'xdp-generic', receive: 'none', frames: 1024, entries: 64 });
  const descriptor = calls.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  assert.ok(descriptor >= 0);
  const statistics = new Struct(8);
  const batch = new PacketBatch(2);
  const sentinel = new Uint8Array(60);
  sentinel.set([0x88, 0xb5], 12);
  return {
    descriptor,
    bind(): void {
      const address = new Struct(20).u16(0, AF_PACKET).u16(2, ETH_P_ALL_BIG_ENDIAN).i32(4, calls.interfaceIndex('lo'));
      assert.equal(calls.bind(descriptor, address), 0);
    },
    /** Packets that the filter has let through since the last time: the kernel resets the count. */
    passed(): number {
      assert.equal(calls.getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, statistics), 8);
      return statistics.readU32(0);
    },
    /** Sends a packet and the sentinel; the kernel has delivered both, or not, when this resolves. */
    async send(packet: Uint8Array): Promise<void> {
      assert.equal(sender.rings.allocate(batch, 2), 2);
      for (const [i, bytes] of [packet, sentinel].entries()) {
        sender.buffer.arena.u8.set(bytes, batch.offset[i]!);
        batch.size[i] = bytes.length;
      }
      assert.equal(sender.rings.send(batch), 2);
      assert.ok(await sender.socket.wait(() => !sender.socket.sending(), { timeoutMilliseconds: 2000 }));
    },
    async close(): Promise<void> {
      calls.close(descriptor);
      await sender.close();
    },
  };
}

test('a packet socket hears what its filter lets through, and may change it', async () => {
  const loopback = await openLoopback();
  const dns = udpPacket({ destinationPort: 53 });
  const other = udpPacket({ destinationPort: 54 });
  const heard = async (receive: ParsedReceive, packet: Uint8Array): Promise<number> => {
    attachReceiveFilter(calls, loopback.descriptor, receive);
    await loopback.send(packet);
    return loopback.passed();
  };
  try {
    attachReceiveFilter(calls, loopback.descriptor, 'all'); // no filter to take away
    attachReceiveFilter(calls, loopback.descriptor, parsed([{ protocol: 'udp', port: 53 }]));
    loopback.bind();
    await loopback.send(dns);
    assert.equal(loopback.passed(), 1);
    await loopback.send(other);
    assert.equal(loopback.passed(), 0);
    assert.equal(await heard('none', dns), 0);
    assert.equal(await heard('all', other), 2);
    assert.equal(await heard(parsed([{ port: 54 }, SENTINEL]), other), 2);
    const tooMany = Array.from({ length: 1000 }, (_, i): FlowRule => ({ protocol: 'udp', port: i }));
    assert.throws(() => attachReceiveFilter(calls, loopback.descriptor, parsed(tooMany)), {
      code: 'FLOW_TABLE_FULL',
      message: /a socket filter has at most 4096/,
    });
    await loopback.send(dns);
    assert.equal(loopback.passed(), 1); // the filter before: the sentinel alone
  } finally {
    await loopback.close();
  }
});

test("property: the kernel's filter and the soft kernel decide alike, with tags that the kernel has taken out", async () => {
  const loopback = await openLoopback();
  loopback.bind();
  let matched = 0;
  try {
    for (let seed = 100; seed < 120; seed++) {
      const random = new Random(seed);
      const rules = [...randomRules(random, random.between(1, 6)), SENTINEL];
      const soft = softVerdict(rules);
      attachReceiveFilter(calls, loopback.descriptor, parsed(rules));
      loopback.passed();
      for (let i = 0; i < 40; i++) {
        const packet = randomPacket(random, 60); // the kernel itself drops packets that end within their tag
        await loopback.send(packet);
        const passed = loopback.passed();
        assert.equal(passed, soft(packet) ? 2 : 1, `seed ${seed}, ${JSON.stringify(rules)}, ${hex(packet)}`);
        if (passed === 2) matched++;
      }
    }
  } finally {
    await loopback.close();
  }
  assert.ok(matched > 50, `${matched} matched`);
});
