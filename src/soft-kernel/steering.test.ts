import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { drain, openSmall, softKernel } from '../../test/support/soft.js';
import type { FlowRule } from '../steering/rules.js';
import { flowAddress } from '../wire/traffic.js';

const PACKETS = 8000;
const FLOWS = 32;

for (const mode of ['v4-zc', 'xdp-zc', 'xdp-copy'] as const) {
  test(`${mode}: rules change while packets come, and each packet is received, dropped by a rule or the stack's, once`, async () => {
    await using kernel = softKernel();
    const wire = { kind: 'generator', packets: FLOWS, flows: FLOWS, count: PACKETS, packetsPerSecond: 5e6 } as const;
    await kernel.addNic({ name: 'soft0', queues: 2, wire });
    await using socket = await openSmall(kernel, 'soft0', { mode, queue: 1, receive: [{ protocol: 'udp' }] });
    const random = new Random(7);
    const flow = (): FlowRule => ({ source: flowAddress(random.below(FLOWS)) });
    let received = 0;
    for (let change = 0; change < 400; change++) {
      const rules: FlowRule[] = [{ ...flow(), to: 'drop' }, { ...flow(), to: 'stack' }, flow()];
      if (random.oneIn(2)) rules.push({ to: 'socket' });
      if (random.oneIn(2)) rules.push({ bucket: [random.below(4), 4], to: random.pick(['socket', 'stack', 'drop']) });
      await socket.steer(random.oneIn(8) ? [{ protocol: 'udp' }] : rules);
      received += drain(socket, () => {}, 3);
    }
    for (let quiet = 0; quiet < 200; quiet++) received += drain(socket, () => {}, 3);
    const { drops } = await socket.statistics();
    const stack = (await kernel.stackStatistics('soft0')).packets;
    assert.ok(
      received > 1000 && stack > 1000 && drops.rule! > 100,
      `${received} received, ${stack}, ${drops.rule} dropped`,
    );
    assert.deepEqual({ ...drops, rule: 0 }, { ...zeros(drops), rule: 0 }, 'no other losses');
    assert.equal(received + stack + drops.rule!, PACKETS);
  });
}

function zeros(drops: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.keys(drops).map((place) => [place, 0]));
}
