import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { randomPacket } from '../../../test/support/header-packets.js';
import { udpPacket } from '../../../test/support/packets.js';
import { Random } from '../../../test/support/random.js';
import { type Decision, randomRules, softDecision } from '../../../test/support/verdicts.js';
import { compiler } from '../../ebpf/compiler/compiler.js';
import { XDP_DROP, XDP_PASS, XDP_TX } from '../../ebpf/execution.js';
import { createMap } from '../../ebpf/maps/create-map.js';
import { ClassicInterpreter } from '../../filter/classic/interpreter.js';
import { type FlowRule, parseRule } from '../rules.js';
import { classicProgram } from './classic-program.js';
import { codeForQueues, codeForRules, type SteeringCode } from './rule-code.js';
import { xdpProgram, xdpVerdict } from './xdp-program.js';

const VERDICTS: Readonly<Record<number, Decision>> = { [XDP_TX]: 'socket', [XDP_PASS]: 'stack', [XDP_DROP]: 'drop' };
const TARGETS: readonly Decision[] = ['socket', 'socket', 'stack', 'drop'];

/** Runs the XDP program of some queues' lists on the engine that compiles. */
function decider({ code, tables }: SteeringCode): (packet: Uint8Array) => Decision {
  const bytes = 2 ** 20 + 2 * tables.length;
  const runs = new EbpfRuns({ engine: compiler, bytes }, 2 * bytes);
  const maps = [];
  if (tables.length > 0) {
    const valueSize = tables.length;
    const map = createMap(runs.machine, {
      name: 'rules',
      type: 'array',
      keySize: 4,
      valueSize,
      maxEntries: 1,
      flags: 0,
    });
    map.update(new Uint8Array(4), tables);
    maps.push(map);
  }
  const executable = runs.prepare(xdpProgram(code, xdpVerdict(XDP_TX)), maps);
  return (packet) => VERDICTS[runs.run(executable, packet).verdict]!;
}

const parsed = (rules: readonly FlowRule[]) => rules.map((rule) => parseRule(rule, 'rule'));
const codeFor = (rules: readonly FlowRule[]) => codeForQueues([{ queues: [0], rules: parsed(rules) }], [], 0);

test('of the rules that match, the one that fixes most bits decides', () => {
  const rules: FlowRule[] = [
    { to: 'socket' },
    { protocol: 'udp', to: 'drop' },
    { source: '10.0.0.0/8', protocol: 'udp', to: 'stack' },
    { source: '10.0.0.7', protocol: 'udp' },
  ];
  const packets = [
    ['10.0.0.7', 'socket'],
    ['10.0.0.8', 'stack'],
    ['11.0.0.8', 'drop'],
  ] as const;
  const decide = decider(codeFor(rules));
  const classic = new ClassicInterpreter(classicProgram(codeForRules(parsed(rules))));
  for (const [source, expected] of packets) {
    const packet = udpPacket({ source });
    assert.equal(decide(packet), expected);
    assert.equal(classic.run(packet, 0, packet.length, packet.length) !== 0, expected === 'socket');
  }
  assert.equal(decide(Uint8Array.of(...new Array(12).fill(2), 8, 6)), 'socket'); // ARP: all that no other rule matches
});

test('property: XDP programs decide as the rules say, whether they test them or look them up', () => {
  const seen: Record<Decision, number> = { socket: 0, stack: 0, drop: 0 };
  let lookedUp = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const few = randomRules(random, random.between(1, 8), random.oneIn(3) ? [] : TARGETS);
    const many = seed % 2 === 0 ? manyRules(random) : [];
    const rules = [...many, ...few];
    const code = codeFor(rules);
    if (code.tables.length > 0) lookedUp++;
    const decide = decider(code);
    const expected = softDecision(rules);
    for (let i = 0; i < 300; i++) {
      const packet = random.oneIn(3) ? commonPacket(random) : randomPacket(random, 14);
      const decision = expected(packet);
      seen[decision]++;
      assert.equal(
        decide(packet),
        decision,
        `seed ${seed}, ${JSON.stringify(rules)}, ${Buffer.from(packet).toString('hex')}`,
      );
    }
  }
  assert.ok(lookedUp >= 25, `${lookedUp} programs with tables`);
  for (const count of Object.values(seen)) assert.ok(count > 500, JSON.stringify(seen));
});

test('property: socket filters decide as the rules say', () => {
  let accepted = 0;
  for (let seed = 500; seed < 600; seed++) {
    const random = new Random(seed);
    const rules = randomRules(random, random.between(1, 8), ['socket', 'stack']);
    const filter = new ClassicInterpreter(classicProgram(codeForRules(parsed(rules))));
    const expected = softDecision(rules);
    for (let i = 0; i < 200; i++) {
      const packet = randomPacket(random);
      const accepts = filter.run(packet, 0, packet.length, packet.length) !== 0;
      assert.equal(
        accepts,
        expected(packet) === 'socket',
        `seed ${seed}, ${JSON.stringify(rules)}, ${Buffer.from(packet).toString('hex')}`,
      );
      if (accepts) accepted++;
    }
  }
  assert.ok(accepted > 1000, `${accepted} accepted`);
});

/** Enough rules of a few kinds for tables, some of them with the same key. */
function manyRules(random: Random): FlowRule[] {
  return Array.from({ length: 240 }, (): FlowRule => {
    const to = random.pick(TARGETS);
    const port = random.below(64);
    const host = `10.0.0.${random.below(32)}`;
    switch (random.below(3)) {
      case 0:
        return { protocol: 'udp', destinationPort: port, to };
      case 1:
        return { source: host, to };
      default:
        return { address: host, port, to };
    }
  });
}

function commonPacket(random: Random): Uint8Array {
  return udpPacket({
    source: `10.0.0.${random.below(40)}`,
    destination: `10.0.0.${random.below(40)}`,
    sourcePort: random.below(70),
    destinationPort: random.below(70),
  });
}
