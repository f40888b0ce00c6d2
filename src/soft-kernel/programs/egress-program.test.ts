import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOf, udpPacket } from '../../../test/support/packets.js';
import { poolIsWhole } from '../../../test/support/pool.js';
import { Random } from '../../../test/support/random.js';
import { drain, openSmall, sendAll, softKernel } from '../../../test/support/soft.js';
import { verdictProgram } from '../../../test/support/xdp-programs.js';
import { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX } from '../../ebpf/execution.js';
import { assemble } from '../../ebpf/text/assemble.js';
import type { Mode } from '../../kernel/contract.js';
import type { LoadedProgram } from '../../kernel/programs.js';
import { PacketBatch } from '../../ring/packet-batch.js';
import type { PacketSocket } from '../../socket/packet-socket.js';
import type { SoftKernel } from '../soft-kernel.js';

const MODES: readonly Mode[] = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];
const IN_PLACE: readonly Mode[] = ['v4-zc', 'xdp-zc'];

/** Drops packets with odd numbers. */
const EVEN = assemble(`
  .section xdp
  .function even
    r2 = *(u32 *)(r1 +0)
    r3 = *(u32 *)(r1 +4)
    r4 = r2
    r4 += 46
    r0 = 2
    if r4 > r3 goto done
    r4 = *(u8 *)(r2 +45)
    r4 &= 1
    if r4 == 0 goto done
    r0 = 1
  done:
    exit
`);

/** Grows packets by 8 bytes of 2 in front, or what there is room for: then it drops them. Of section xdp/devmap: it knows where they leave by. */
const GROW = assemble(`
  .map leaves array key 4 value 8 entries 1
  .section xdp/devmap
  .function grow
    r6 = r1
    r7 = *(u32 *)(r1 +20)
    *(u32 *)(r10 -4) = 0
    r2 = r10
    r2 += -4
    r1 = map[leaves]
    call bpf_map_lookup_elem
    if r0 == 0 goto drop
    *(u64 *)(r0 +0) = r7
    r1 = r6
    r2 = -8
    call bpf_xdp_adjust_head
    if r0 != 0 goto drop
    r2 = *(u32 *)(r6 +0)
    r3 = *(u32 *)(r6 +4)
    r4 = r2
    r4 += 8
    if r4 > r3 goto drop
    r1 = 0x0202020202020202 ll
    *(u64 *)(r2 +0) = r1
    r0 = 2
    exit
  drop:
    r0 = 1
    exit
`);

const DEVICES = {
  veth: (kernel: SoftKernel, mtu?: number) =>
    kernel.addVeth({ names: ['near', 'far'], ...(mtu !== undefined && { mtu }) }),
  nic: async (kernel: SoftKernel, mtu?: number) => {
    const wire = { kind: 'patch', cable: 'one', pause: true } as const;
    for (const name of ['near', 'far']) await kernel.addNic({ name, wire, ...(mtu !== undefined && { mtu }) });
  },
} as const;
type DeviceKind = keyof typeof DEVICES;

async function attach(kernel: SoftKernel, object: Parameters<SoftKernel['loadObject']>[0], name = 'far') {
  const loaded = await kernel.loadObject(object);
  const attachment = await kernel.attachProgram(loaded.programs[0]!, { interface: name, hook: 'egress' });
  return { attachment, loaded, program: loaded.programs[0]! as LoadedProgram };
}

const packets = (count: number, length = 60): Uint8Array[] =>
  Array.from({ length: count }, (_, number) => udpPacket({ number, length }));

async function counters(kernel: SoftKernel, name = 'far'): Promise<Record<string, number>> {
  const all = await kernel.deviceStatistics(name);
  return Object.fromEntries(Object.entries(all).filter(([key, count]) => key.startsWith('tx_xdp') && count > 0));
}

/** Waits until everything that was sent has come back. */
function settle(kernel: SoftKernel, ...sockets: PacketSocket[]): void {
  const batch = new PacketBatch(64);
  for (let i = 0; i < 20; i++) {
    kernel.run(20);
    for (const socket of sockets) {
      socket.allocate(batch, 1); // collects what came back
      socket.release(batch);
    }
  }
}

for (const device of Object.keys(DEVICES) as DeviceKind[]) {
  for (const mode of MODES) {
    test(`${device}, ${mode}: packets that the program drops on their way out never arrive, and their frames come back`, async () => {
      await using kernel = softKernel();
      await DEVICES[device](kernel);
      await attach(kernel, EVEN);
      await using receiver = await openSmall(kernel, 'near', { mode: 'v4', ring: 1024, buffer: { frames: 4096 } });
      const sender = await openSmall(kernel, 'far', { mode, receive: 'none' });
      assert.equal(sendAll(sender, packets(300)), 300);
      settle(kernel, sender);
      const numbers: number[] = [];
      drain(receiver, (offset) => numbers.push(numberOf(receiver.bytes, offset)));
      assert.deepEqual(
        numbers,
        Array.from({ length: 150 }, (_, i) => 2 * i),
      );
      assert.deepEqual(await counters(kernel), { tx_xdp_pass: 150, tx_xdp_drop: 150 });
      const { kernelSent, drops } = await sender.statistics();
      assert.equal(kernelSent, 300);
      assert.deepEqual(
        Object.values(drops).filter((count) => count > 0),
        [],
      );
      const { buffer } = sender;
      await sender.close();
      if (mode !== 'v2' && mode !== 'v3') assert.ok(buffer === undefined || poolIsWhole(buffer));
    });
  }

  for (const mode of IN_PLACE) {
    test(`${device}, ${mode}: a program changes what leaves; the sender gets its frames back as it gave them`, async () => {
      await using kernel = softKernel();
      await DEVICES[device](kernel);
      const { loaded } = await attach(kernel, GROW);
      await using receiver = await openSmall(kernel, 'near', { mode: 'v4' });
      await using sender = await openSmall(kernel, 'far', { mode, receive: 'none', outcomes: true });
      const batch = new PacketBatch(8);
      assert.equal(sender.allocate(batch, 3), 3);
      const given = Array.from(batch.offset.subarray(0, 3));
      for (let i = 0; i < 3; i++) {
        sender.bytes.set(udpPacket({ number: i }), batch.offset[i]!);
        batch.size[i] = 60;
      }
      assert.equal(sender.send(batch), 3);
      kernel.run(20);
      let seen = 0;
      drain(receiver, (offset, size) => {
        assert.equal(size, 68);
        assert.deepEqual([...receiver.bytes.subarray(offset, offset + 8)], new Array(8).fill(2));
        assert.equal(numberOf(receiver.bytes, offset + 8), seen++);
      });
      assert.equal(seen, 3);
      assert.equal(sender.completions(batch), 3);
      assert.deepEqual(Array.from(batch.offset.subarray(0, 3)), given);
      assert.ok(batch.outcome.subarray(0, 3).every((outcome) => outcome <= 0)); // no error: 0, or AF_XDP's -1
      const index = (await kernel.interfaces()).find(({ name }) => name === 'far')!.index!;
      const value = loaded.maps.get('leaves')!.lookup(new Uint8Array(4))!;
      assert.equal(new DataView(value.buffer, value.byteOffset).getUint32(0, true), index);
      sender.release(batch);
    });
  }

  test(`${device}: packets that a program makes longer than the device sends are dropped and counted`, async () => {
    await using kernel = softKernel();
    await DEVICES[device](kernel);
    await attach(kernel, GROW);
    await using receiver = await openSmall(kernel, 'near', { mode: 'v4' });
    await using sender = await openSmall(kernel, 'far', { mode: 'xdp-zc', receive: 'none' });
    sendAll(sender, packets(4, 1518));
    settle(kernel, sender);
    assert.equal(drain(receiver), 0);
    const { tx_xdp_pass: pass, tx_xdp_too_long: tooLong } = await counters(kernel);
    assert.deepEqual([pass, tooLong], [4, 4]);
  });

  test(`${device}: verdicts that have no meaning on the way out drop packets, each counted`, async () => {
    await using kernel = softKernel();
    await DEVICES[device](kernel);
    await using receiver = await openSmall(kernel, 'near', { mode: 'v4' });
    await using sender = await openSmall(kernel, 'far', { mode: 'v4-zc', receive: 'none' });
    for (const verdict of [XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT, 77]) {
      const { attachment } = await attach(kernel, { programs: [verdictProgram(verdict)], maps: [] });
      sendAll(sender, packets(5));
      settle(kernel, sender);
      await attachment.detach();
    }
    assert.deepEqual(await counters(kernel), {
      ...{ tx_xdp_aborted: 5, tx_xdp_drop: 5, tx_xdp_pass: 5, tx_xdp_unknown: 15 },
    });
    assert.equal(drain(receiver), 5);
    sendAll(sender, packets(5)); // and without a program as before
    settle(kernel, sender);
    assert.equal(drain(receiver), 5);
  });

  test(`${device}: what another device's program redirects meets the program on its way out, too`, async () => {
    await using kernel = softKernel();
    await DEVICES[device](kernel);
    await kernel.addVeth({ names: ['in', 'source'] });
    const { index } = (await kernel.interfaces()).find(({ name }) => name === 'far')!;
    const redirecting = await kernel.loadObject(
      assemble(`.section xdp\n.function away\n  r1 = ${index}\n  r2 = 0\n  call bpf_redirect\n  exit`),
    );
    await kernel.attachProgram(redirecting.programs[0]!, { interface: 'in', hook: 'native' });
    await attach(kernel, EVEN);
    await using receiver = await openSmall(kernel, 'near', { mode: 'v4', ring: 256, buffer: { frames: 1024 } });
    await using sender = await openSmall(kernel, 'source', { mode: 'xdp-zc', receive: 'none' });
    sendAll(sender, packets(100));
    settle(kernel, sender);
    const numbers: number[] = [];
    drain(receiver, (offset) => numbers.push(numberOf(receiver.bytes, offset)));
    assert.deepEqual(
      numbers,
      Array.from({ length: 50 }, (_, i) => 2 * i),
    );
  });

  test(`${device}: packets of several frames: a program that takes them decides, of another they are dropped`, async () => {
    await using kernel = softKernel();
    await DEVICES[device](kernel, 1500);
    await using receiver = await openSmall(kernel, 'near', { mode: 'v4' });
    await using sender = await openSmall(kernel, 'far', { mode: 'xdp-zc', receive: 'none', segments: true });
    const batch = new PacketBatch(8);
    const sendTwoParts = (): void => {
      assert.equal(sender.allocate(batch, 2), 2);
      const packet = udpPacket({ number: 8, length: 1000 });
      sender.bytes.set(packet.subarray(0, 500), batch.offset[0]!);
      sender.bytes.set(packet.subarray(500), batch.offset[1]!);
      batch.size.fill(500, 0, 2);
      batch.flags[0] = 1;
      assert.equal(sender.send(batch), 2);
      settle(kernel, sender);
    };
    const { attachment, program } = await attach(kernel, {
      programs: [verdictProgram(XDP_PASS, { segments: true })],
      maps: [],
    });
    sendTwoParts();
    assert.equal(
      drain(receiver, (_offset, size) => assert.equal(size, 1000)),
      1,
    );
    const other = await kernel.loadObject({ programs: [verdictProgram(XDP_PASS)], maps: [] });
    await attachment.replace(other.programs[0]!);
    sendTwoParts();
    assert.equal(drain(receiver), 0);
    assert.deepEqual(await counters(kernel), { tx_xdp_pass: 1, tx_xdp_segments: 1 });
    await attachment.replace(program);
  });

  test(`${device}: programs come, change and go under traffic, and every packet and frame is accounted for`, async () => {
    const random = new Random(31);
    for (const mode of ['xdp-zc', 'v4-zc', 'xdp-copy'] as const) {
      await using kernel = softKernel();
      await DEVICES[device](kernel);
      const even = await kernel.loadObject(EVEN);
      const all = await kernel.loadObject({ programs: [verdictProgram(XDP_DROP)], maps: [] });
      await using receiver = await openSmall(kernel, 'near', { mode: 'xdp-zc', ring: 512, buffer: { frames: 2048 } });
      let sender = await openSmall(kernel, 'far', { mode, receive: 'none' });
      let attachment = await kernel.attachProgram(even.programs[0]!, { interface: 'far', hook: 'egress' });
      let sent = 0;
      let arrived = 0;
      let lost = 0;
      for (let round = 0; round < 200; round++) {
        sent += sendAll(sender, packets(random.between(1, 60)));
        if (random.oneIn(3)) kernel.run(random.below(4));
        const what = random.below(6);
        if (what === 0) await attachment.replace(random.pick([even, all]).programs[0]!);
        else if (what === 1) {
          await attachment.detach();
          if (random.oneIn(2)) sent += sendAll(sender, packets(random.between(1, 60)));
          attachment = await kernel.attachProgram(random.pick([even, all]).programs[0]!, {
            ...{ interface: 'far', hook: 'egress' },
          });
        } else if (what === 2 && random.oneIn(4)) {
          const { buffer } = sender;
          const before = (await sender.statistics()).sent;
          settle(kernel, sender);
          lost += before - (await sender.statistics()).kernelSent;
          await sender.close();
          assert.ok(poolIsWhole(buffer), `round ${round}`);
          sender = await openSmall(kernel, 'far', { mode, receive: 'none' });
        }
        arrived += drain(receiver);
      }
      settle(kernel, sender);
      arrived += drain(receiver);
      const { tx_xdp_drop: dropped = 0 } = await counters(kernel);
      const statistics = await kernel.deviceStatistics('near');
      const noFrame = statistics.rx_no_descriptor ?? 0;
      assert.equal(
        sent,
        arrived + dropped + noFrame + lost,
        `${mode}: ${sent} ${arrived} ${dropped} ${noFrame} ${lost}`,
      );
      assert.ok(dropped > 0 && arrived > 0);
      const { buffer } = sender;
      await sender.close();
      assert.ok(poolIsWhole(buffer));
    }
  });
}

test('a device has one program on the way out, beside one on the way in', async () => {
  await using kernel = softKernel();
  await kernel.addVeth({ names: ['near', 'far'] });
  const object = { programs: [verdictProgram(XDP_PASS, { name: 'first' })], maps: [] };
  const { attachment, program } = await attach(kernel, object);
  await assert.rejects(attach(kernel, object), { code: 'INTERFACE_BUSY', message: /the program first is attached/ });
  await kernel.attachProgram(program, { interface: 'far', hook: 'native' });
  await attachment.detach();
  await attach(kernel, object);
});

test('a link that is down gives packets back with an error that the program has let through', async () => {
  await using kernel = softKernel();
  await kernel.addVeth({ names: ['near', 'far'] });
  await attach(kernel, EVEN);
  await using sender = await openSmall(kernel, 'far', { mode: 'v4-zc', receive: 'none', outcomes: true });
  await kernel.setLink('near', false);
  sendAll(sender, packets(4));
  kernel.run(20);
  const batch = new PacketBatch(8);
  assert.equal(sender.completions(batch), 4);
  assert.deepEqual([...batch.outcome.subarray(0, 4)], [100, 0, 100, 0]);
  sender.release(batch);
});
