import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { randomPacket } from '../../../test/support/header-packets.js';
import { Random } from '../../../test/support/random.js';
import { StandInDirector, type StandInOptions } from '../../../test/support/stand-in-director.js';
import { randomRules } from '../../../test/support/verdicts.js';
import { createFlowKey, FLOW_HAS_PORTS, FLOW_NETWORK, hasPorts, parseFlowKey } from '../../packet/flow-key.js';
import { tableOf } from '../../steering/explain.js';
import { type FlowRule, parseRule } from '../../steering/rules.js';
import { InterfaceSettings } from '../interface-settings.js';
import { Journal } from '../journal.js';
import { networkNamespace } from '../network-namespaces.js';
import { repair } from '../repair.js';
import { directRules } from './directed-rules.js';
import { FlowDirectors, type SocketEntries } from './flow-directors.js';
import { NtupleTable } from './ntuple-table.js';

const root = mkdtempSync(join(tmpdir(), 'tpacket4-director-'));
after(() => rmSync(root, { recursive: true }));
const sysfs = join(root, 'sysfs');
mkdirSync(join(sysfs, 'eth7'), { recursive: true });
writeFileSync(join(sysfs, 'eth7', 'ifindex'), '7\n');
let folders = 0;

function setUp(options: StandInOptions = {}) {
  const folder = join(root, `journal${folders++}`);
  const director = new StandInDirector(options);
  const journal = new Journal(folder);
  const directors = new FlowDirectors((_name, work) => work(director), journal);
  const socket = (): SocketEntries => directors.entriesFor({ name: 'eth7', index: 7 });
  return { director, journal, folder, socket, notes: () => journalFiles(folder) };
}

function journalFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
}

const wanted = (queue: number, rules: readonly FlowRule[]) =>
  directRules(
    rules.map((rule, i) => parseRule(rule, `receive[${i}]`)),
    queue,
  );

function steer(socket: SocketEntries, queue: number, rules: readonly FlowRule[]): void {
  socket.prepare(wanted(queue, rules).entries).finish();
}

const DNS: FlowRule = { etherType: 'ipv4', protocol: 'udp', destinationPort: 53 };
const UDP: FlowRule = { etherType: 'ipv4', protocol: 'udp' };

test('rules are divided between the device and the program', () => {
  const { entries, program } = wanted(2, [
    UDP,
    { ...DNS, to: { queue: 1 } },
    { ...DNS, source: '10.0.0.1', to: 'stack' },
    { etherType: 'arp', to: { queue: 2 } },
    { etherType: 'ipv6', protocol: 'tcp', to: 'drop' },
    { etherType: 'ipv6', protocol: 'tcp', destinationPort: 22, to: 'stack' },
  ]);
  // What belongs to the stack needs an entry only where a broader rule sends it to another queue.
  assert.deepEqual(
    entries.map(({ what, queue }) => `${what} ${queue}`),
    ['receive[2] 2', 'receive[1] 1', 'receive[0] 2', 'receive[4] 2', 'receive[3] 2'],
  );
  assert.deepEqual(
    program.map(({ to }) => to),
    [undefined, 'stack', 'stack', undefined, 'drop', 'stack'],
  );
});

test('of entries that match a packet the one of the most specific rule has the lowest location', () => {
  const { director, socket, notes } = setUp();
  const entries = socket();
  steer(entries, 0, [UDP, { ...DNS, to: { queue: 1 } }]);
  const queues = [...director.table].sort(([a], [b]) => a - b).map(([, spec]) => spec[152]);
  assert.deepEqual(queues, [1, 0]);
  // A rule between the two finds room.
  steer(entries, 0, [UDP, { ...DNS, to: { queue: 1 } }, { ...UDP, destinationPort: [0, 63], to: { queue: 2 } }]);
  assert.deepEqual(
    [...director.table].sort(([a], [b]) => a - b).map(([, spec]) => spec[152]),
    [1, 2, 0],
  );
  assert.equal(notes().length, 1);
  entries.close();
  assert.equal(director.table.size, 0);
  assert.deepEqual(notes(), []);
});

test('a rule that cannot be added leaves everything as it was', () => {
  const refuse = (spec: Uint8Array): number => (spec[0] === 18 ? 95 : 0); // no EtherTypes
  const { director, socket, notes } = setUp({ locations: 4, refuse });
  const entries = socket();
  steer(entries, 0, [DNS]);
  const before = new Map(director.table);
  const fails = (rules: readonly FlowRule[], error: object): void => {
    assert.throws(() => entries.prepare(wanted(0, rules).entries), error);
    assert.deepEqual(director.table, before);
  };
  fails([UDP, { etherType: 'arp' }], { code: 'RULES_UNSUPPORTED', message: /receive\[1\] as an entry/, errno: 95 });
  fails([{ port: 80 }], { code: 'FLOW_TABLE_FULL', message: /3 free locations for 12 entries/ });
  fails([{ ...UDP, to: { queue: 4 } }], { code: 'NO_QUEUE', message: /no receive queue 4, only 4/ });
  entries
    .prepare(
      wanted(0, [
        { ...DNS, to: { queue: 3 } },
        { ...UDP, sourcePort: 1 },
      ]).entries,
    )
    .cancel();
  assert.deepEqual([...director.table.values()], [...before.values()]);
  entries.close();
  assert.deepEqual(notes(), []);
});

test('entries of others are left alone, and said where they are in the way', () => {
  const { director, socket } = setUp();
  const table = new NtupleTable(director, 'eth7');
  const [foreign] = wanted(0, [DNS]).entries;
  table.insert(foreign!.match.bytes, { queue: 3 }, 5, 'entry');
  const entries = socket();
  assert.throws(() => entries.prepare(wanted(0, [DNS]).entries), {
    code: 'RULES_UNSUPPORTED',
    message: /entry 5 of the flow director of eth7 is for the same packets/,
    remedy: /tp4 steer del eth7 5/,
  });
  steer(entries, 0, [UDP]);
  entries.close();
  assert.deepEqual([...director.table.keys()], [5]);
});

test('sockets of a device share entries, and refuse contradictions', () => {
  const { director, socket } = setUp();
  const [one, two] = [socket(), socket()];
  steer(one, 0, [{ ...DNS, to: { queue: 3 } }]);
  steer(two, 1, [{ ...DNS, to: { queue: 3 } }]);
  assert.equal(director.table.size, 1);
  assert.throws(() => two.prepare(wanted(1, [DNS]).entries), { code: 'RULES_UNSUPPORTED', message: /queue 3/ });
  one.close();
  assert.equal(director.table.size, 1);
  two.close();
  assert.equal(director.table.size, 0);
});

test('a driver that picks locations gets rules whose order does not matter', () => {
  const { director, socket } = setUp({ driverPicks: true, locations: 8 });
  const entries = socket();
  assert.throws(() => entries.prepare(wanted(0, [UDP, { ...DNS, to: { queue: 1 } }]).entries), {
    code: 'RULES_UNSUPPORTED',
    message: /orders entries itself/,
  });
  steer(entries, 0, [DNS, { etherType: 'arp', to: { queue: 1 } }]);
  assert.equal(director.table.size, 2);
  steer(entries, 0, [{ ...DNS, to: { queue: 2 } }]);
  assert.deepEqual(
    [...director.table.values()].map((spec) => spec[152]),
    [2],
  );
  entries.close();
  assert.equal(director.table.size, 0);
});

test('devices without a flow director are refused, switched-off ones with what switches it on', () => {
  const none = setUp({ refuse: () => 95 });
  assert.throws(() => steer(none.socket(), 0, [DNS]), { code: 'RULES_UNSUPPORTED', remedy: /no flowDirector/ });
  const off = setUp({ off: true });
  assert.throws(() => steer(off.socket(), 0, [DNS]), {
    code: 'RULES_UNSUPPORTED',
    remedy: /ethtool -K eth7 ntuple on/,
  });
});

for (const tellsDifferently of [false, true]) {
  test(`entries of a process that was killed are removed by the next one (tells differently: ${tellsDifferently})`, () => {
    const { director, folder, socket } = setUp({ tellsDifferently });
    const table = new NtupleTable(director, 'eth7');
    steer(socket(), 0, [UDP, DNS]);
    const [file] = journalFiles(folder);
    // The note of another process, long dead.
    const proc = join(root, `proc${folders}`);
    mkdirSync(join(proc, 'sys/kernel/random'), { recursive: true });
    writeFileSync(join(proc, 'sys/kernel/random/boot_id'), 'another-boot\n');
    mkdirSync(join(proc, String(process.pid)), { recursive: true });
    writeFileSync(join(proc, String(process.pid), 'stat'), `${process.pid} (node) S ${'7 '.repeat(40)}\n`);
    // Somebody has put an entry of theirs in the place of one.
    const [first, second] = [...director.table.keys()];
    const [mine] = wanted(0, [{ etherType: 'arp' }]).entries;
    table.insert(mine!.match.bytes, { queue: 1 }, first, 'entry');
    const surroundings = {
      journal: new Journal(folder, proc),
      settings: new InterfaceSettings(sysfs),
      namespace: networkNamespace(),
      useEthtool: <Result>(_name: string, work: (port: StandInDirector) => Result): Result => work(director),
    };
    const outcomes = (changing: boolean): string[] =>
      repair(changing, surroundings)
        .repairs.map(({ outcome }) => outcome)
        .sort();
    assert.deepEqual(outcomes(false), ['pending', 'void']);
    assert.deepEqual(outcomes(true), ['undone', 'void']);
    assert.deepEqual([...director.table.keys()], [first], `${second} is gone`);
    assert.equal(journalFiles(folder).includes(file!), false);
  });
}

test('while rules change, packets that old and new rules send to the same queue go there all the time', () => {
  const random = new Random(22);
  const key = createFlowKey();
  const packets = Array.from({ length: 250 }, () => randomPacket(random, 14)).filter((packet) => {
    parseFlowKey(packet, 0, packet.length, key);
    return !hasPorts(key[FLOW_NETWORK]! & 0xff) || (key[FLOW_NETWORK]! & FLOW_HAS_PORTS) !== 0;
  });
  let directed = 0;
  let refused = 0;
  for (let round = 0; round < 20; round++) {
    const { director, socket, notes } = setUp({ locations: 2048 });
    const entries = socket();
    let goes: (number | undefined)[] = packets.map(() => undefined);
    for (let change = 0; change < 6; change++) {
      const rules = randomRules(random, random.between(1, 5))
        .filter(({ bucket }) => bucket === undefined)
        .map((rule) => ({ ...rule, to: random.pick(['socket', 'drop', { queue: 1 }, { queue: 3 }] as const) }));
      if (rules.length === 0) continue;
      const expected = targetsOf(rules, packets);
      let strayed: string | undefined; // thrown from within an ioctl it would get lost
      director.onChange = () => {
        const stray = packets.findIndex((packet, i) => {
          return goes[i] !== undefined && goes[i] === expected[i] && director.classify(packet) !== goes[i];
        });
        if (stray >= 0) strayed ??= `round ${round}, change ${change}, packet ${stray}`;
      };
      try {
        steer(entries, 0, rules);
      } catch (error) {
        assert.equal((error as { code: string }).code, 'FLOW_TABLE_FULL');
        refused++;
        continue;
      }
      assert.equal(strayed, undefined);
      goes = expected;
      for (const [i, packet] of packets.entries()) {
        assert.equal(director.classify(packet), expected[i], `round ${round}, change ${change}, packet ${i}`);
        if (expected[i] !== undefined) directed++;
      }
    }
    director.onChange = () => {};
    entries.close();
    assert.equal(director.table.size, 0);
    assert.deepEqual(notes(), []);
  }
  assert.ok(directed > 1500 && refused < 20, `${directed} directed, ${refused} refused`);
});

function targetsOf(rules: readonly FlowRule[], packets: readonly Uint8Array[]): (number | undefined)[] {
  const table = tableOf(rules);
  const key = createFlowKey();
  return packets.map((packet) => {
    parseFlowKey(packet, 0, packet.length, key);
    const winner = table.lookup(key);
    if (winner < 0) return undefined;
    const { to } = rules[winner]!;
    return typeof to === 'object' ? to.queue : 0;
  });
}
