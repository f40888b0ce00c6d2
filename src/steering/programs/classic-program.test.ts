import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomPacket } from '../../../test/support/header-packets.js';
import { udpPacket } from '../../../test/support/packets.js';
import { Random } from '../../../test/support/random.js';
import { randomRules, softVerdict, takeTag } from '../../../test/support/verdicts.js';
import { type ClassicInstruction, MOST_CLASSIC_INSTRUCTIONS } from '../../filter/classic/instruction.js';
import { ClassicInterpreter } from '../../filter/classic/interpreter.js';
import { type FlowRule, parseRule } from '../rules.js';
import { classicProgram, classicRefusal } from './classic-program.js';
import { codeForRules } from './rule-code.js';

const compile = (rules: readonly FlowRule[]): ClassicInstruction[] =>
  classicProgram(codeForRules(rules.map((rule) => parseRule(rule, 'rule'))));

const accepts = (program: readonly ClassicInstruction[], packet: Uint8Array, tag?: number): boolean =>
  keep(program, packet, tag) !== 0;

function keep(program: readonly ClassicInstruction[], packet: Uint8Array, vlanTag?: number): number {
  return new ClassicInterpreter(program).run(packet, 0, packet.length, packet.length, { vlanTag });
}

test('DNS is questions and answers, whole packets of them, and nothing else', () => {
  const program = compile([{ protocol: 'udp', port: 53 }]);
  assert.equal(keep(program, udpPacket({ destinationPort: 53 })), 0xffffffff);
  assert.ok(accepts(program, udpPacket({ sourcePort: 53 })));
  assert.ok(!accepts(program, udpPacket({ sourcePort: 54 })));
  assert.ok(!accepts(classicRefusal(), udpPacket({ destinationPort: 53 })));
});

test('property: the program and the soft kernel decide alike, wherever the outermost tag is', () => {
  let matched = 0;
  let others = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const rules = randomRules(random, random.between(1, 8));
    const program = compile(rules);
    const soft = softVerdict(rules);
    for (let i = 0; i < 200; i++) {
      const packet = randomPacket(random);
      const expected = soft(packet);
      const message = () => `seed ${seed}, ${JSON.stringify(rules)}, ${Buffer.from(packet).toString('hex')}`;
      if (accepts(program, packet) !== expected) assert.fail(`in the packet: ${message()}`);
      const taken = takeTag(packet);
      if (accepts(program, taken.packet, taken.tag) !== expected) assert.fail(`beside the packet: ${message()}`);
      if (expected) matched++;
      else others++;
    }
  }
  assert.ok(matched > 5000 && others > 5000, `${matched} matched, ${others} did not`);
});

test('property: jumps over more than 255 instructions go where they should', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = new Random(seed);
    const rules = randomRules(random, 60);
    const program = compile(rules);
    assert.ok(program.length > 800 && program.length < MOST_CLASSIC_INSTRUCTIONS, String(program.length));
    for (const { jumpTrue, jumpFalse } of program) assert.ok(jumpTrue <= 255 && jumpFalse <= 255);
    const soft = softVerdict(rules);
    for (let i = 0; i < 300; i++) {
      const packet = randomPacket(random);
      if (accepts(program, packet) !== soft(packet)) assert.fail(`seed ${seed}, packet ${i}`);
    }
  }
});

test('headers that no rule asks about are not read', () => {
  const arp = compile([{ etherType: 'arp' }]).length;
  const addresses = compile([{ source: '10.0.0.1' }]).length;
  const ports = compile([{ port: 53 }]).length;
  assert.ok(arp < addresses && addresses < ports, `${arp}, ${addresses}, ${ports} instructions`);
});
