import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX } from '../../src/ebpf/execution.js';
import type { MapContents } from '../../src/ebpf/maps/contract.js';
import { assemble } from '../../src/ebpf/text/assemble.js';
import type { Kernel, Mode } from '../../src/kernel/contract.js';
import type { ProgramKernel } from '../../src/kernel/programs.js';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../src/socket/open-socket.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';
import { readNumberedFrame } from '../support/frames.js';
import { receiveNumbered, receivePackets, sendNumbered, sendPackets } from '../support/numbered-traffic.js';
import { udpPacket } from '../support/packets.js';
import {
  countingProgram,
  mapOf,
  number,
  redirectProgram,
  tailCallProgram,
  uncheckedProgram,
  verdictProgram,
  word,
} from '../support/xdp-programs.js';

/** Two pairs of joined interfaces of one kernel, and how to let the kernel work. */
export interface ProgramFixture {
  readonly kernel: Kernel & ProgramKernel;
  /** Programs are attached to `near`; what `far` sends it receives. */
  readonly near: string;
  readonly far: string;
  /** What is redirected to `other` comes out at `end`; `otherIndex` is the number of `other`. */
  readonly other: string;
  readonly end: string;
  readonly otherIndex: number;
  /** Lets everything happen that is under way. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export interface ProgramConformanceOptions {
  /** Begins the names of the tests. */
  readonly name: string;
  /** Modes in which a socket takes what a program redirects, by hook. */
  readonly redirected: Readonly<Record<'native' | 'generic', readonly Mode[]>>;
  /** Whether a device takes what is sent to it by a program only while it runs one itself (veth of Linux). */
  readonly wantsProgramAtEnd: boolean;
  /** Whether the device notes when packets arrive. */
  readonly hardwareTimes: boolean;
  create(): Promise<ProgramFixture>;
}

const BUFFER = { frames: 1024 };
const HOOKS: readonly ('native' | 'generic')[] = ['native', 'generic'];
/** How often something is looked for that is bound to come. */
const LOOKS = 200;

/** Puts a word in front of the packet, and redirects it to the socket of its queue. */
const METADATA = `
  .map sockets xskmap key 4 value 4 entries 2
  .section xdp
  .function mark
    r6 = r1
    r2 = -4
    call bpf_xdp_adjust_meta
    if r0 != 0 goto drop
    r2 = *(u32 *)(r6 +8)
    r3 = *(u32 *)(r6 +0)
    r4 = r2
    r4 += 4
    if r4 > r3 goto drop
    r1 = 0x12345678
    *(u32 *)(r2 +0) = r1
    r2 = *(u32 *)(r6 +16)
    r1 = map[sockets]
    r3 = 1
    call bpf_redirect_map
    exit
  drop:
    r0 = 1
    exit
`;

/** Puts 8 bytes of 2 in front of the packet, as a part of it. */
const LONGER = `
  .section xdp
  .function longer
    r6 = r1
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
`;

/** Notes the hints of packets: what each kernel function returned (time, hash, VLAN tag at 0, 4, 24), time at 8, hash and its type at 16, the tag's protocol and control information at 28. */
const HINTS = `
  .map hints array key 4 value 32 entries 1
  .extern bpf_xdp_metadata_rx_timestamp
  .extern bpf_xdp_metadata_rx_hash
  .extern bpf_xdp_metadata_rx_vlan_tag
  .section xdp
  .function hints
    r6 = r1
    *(u32 *)(r10 -4) = 0
    r2 = r10
    r2 += -4
    r1 = map[hints]
    call bpf_map_lookup_elem
    if r0 == 0 goto done
    r7 = r0
    *(u64 *)(r10 -16) = 0
    *(u64 *)(r10 -24) = 0
    r1 = r6
    r2 = r10
    r2 += -16
    call bpf_xdp_metadata_rx_timestamp
    *(u32 *)(r7 +0) = r0
    r1 = *(u64 *)(r10 -16)
    *(u64 *)(r7 +8) = r1
    r1 = r6
    r2 = r10
    r2 += -24
    r3 = r10
    r3 += -20
    call bpf_xdp_metadata_rx_hash
    *(u32 *)(r7 +4) = r0
    r1 = *(u64 *)(r10 -24)
    *(u64 *)(r7 +16) = r1
    r1 = r6
    r2 = r10
    r2 += -24
    r3 = r10
    r3 += -20
    call bpf_xdp_metadata_rx_vlan_tag
    *(u32 *)(r7 +24) = r0
    r1 = *(u16 *)(r10 -24)
    *(u16 *)(r7 +28) = r1
    r1 = *(u16 *)(r10 -20)
    *(u16 *)(r7 +30) = r1
  done:
    r0 = 2
    exit
`;

const counts = mapOf('array', 'counts');

/** What users' XDP programs do in every kernel. */
export function programConformance(options: ProgramConformanceOptions): void {
  const { name, redirected, wantsProgramAtEnd, create } = options;
  describe(name, () => {
    let fixture: ProgramFixture;
    before(async () => {
      fixture = await create();
    });
    after(() => fixture.close());

    const open = (interfaceName: string, more: Partial<OpenSocketOptions>): Promise<PacketSocket> =>
      openSocket({ kernel: fixture.kernel, interface: interfaceName, receive: 'all', buffer: BUFFER, ...more });

    /** Sends numbered packets from the far end. */
    async function send(count: number): Promise<void> {
      const sender = await open(fixture.far, { receive: 'none', mode: 'xdp-copy', queue: 0 });
      await sendNumbered(sender, count, 60);
      await fixture.settle();
      await sender.close();
    }

    /** Waits until a count has come to what is wanted, and is not more. */
    async function counted(map: MapContents, wanted: number, index = 0): Promise<void> {
      for (let i = 0; i < LOOKS && number(map.lookup(word(index))) < wanted; i++) await fixture.settle();
      assert.equal(number(map.lookup(word(index))), wanted);
    }

    /** Has an interface run a program that passes everything on, where that is wanted. */
    async function accepting(interfaceName: string): Promise<() => Promise<void>> {
      if (!wantsProgramAtEnd) return async () => {};
      const object = await fixture.kernel.loadObject({ programs: [verdictProgram(XDP_PASS)], maps: [] });
      const request = { interface: interfaceName, hook: 'native' } as const;
      const attachment = await fixture.kernel.attachProgram(object.programs[0]!, request);
      return async () => {
        await attachment.detach();
        object.close();
      };
    }

    for (const hook of HOOKS) {
      test(`${hook}: a program counts and drops; its map is read while packets come`, async () => {
        const { kernel, near } = fixture;
        const object = await kernel.loadObject({ programs: [countingProgram(counts, XDP_DROP)], maps: [counts] });
        const map = object.maps.get('counts')!;
        const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook });
        assert.deepEqual([attachment.interface, attachment.hook], [near, hook]);
        const stack = await open(near, { mode: 'v3' });
        for (let round = 0; round < 3; round++) {
          map.update(word(0), new Uint8Array(8));
          await send(100);
          await counted(map, 100);
        }
        assert.equal((await stack.statistics()).kernelReceived, 0);
        await attachment.detach();
        await attachment.detach();
        await send(20);
        await receiveNumbered(stack, 20, 60);
        await counted(map, 100);
        await stack.close();
        object.close();
      });

      test(`${hook}: a program that aborts, or returns no verdict, has the packet dropped`, async () => {
        const { kernel, near } = fixture;
        const programs = [XDP_ABORTED, 77].map((verdict, i) => countingProgram(counts, verdict, { name: `odd${i}` }));
        const object = await kernel.loadObject({ programs, maps: [counts] });
        const stack = await open(near, { mode: 'v3' });
        const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook });
        await send(10);
        await counted(object.maps.get('counts')!, 10);
        await attachment.replace(object.programs[1]!);
        await send(10);
        await counted(object.maps.get('counts')!, 20);
        assert.equal((await stack.statistics()).kernelReceived, 0);
        await attachment.detach();
        await stack.close();
        object.close();
      });

      test(`${hook}: a program passes packets on to the stack`, async () => {
        const { kernel, near } = fixture;
        const object = await kernel.loadObject({ programs: [countingProgram(counts, XDP_PASS)], maps: [counts] });
        const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook });
        const stack = await open(near, { mode: 'v3' });
        await send(100);
        await receiveNumbered(stack, 100, 60);
        await counted(object.maps.get('counts')!, 100);
        await attachment.detach();
        await stack.close();
        object.close();
      });

      test(`${hook}: a program sends packets back`, async () => {
        const { kernel, near, far } = fixture;
        const object = await kernel.loadObject({ programs: [verdictProgram(XDP_TX)], maps: [] });
        const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook });
        const end = await accepting(far);
        const stack = await open(far, { mode: 'v3' });
        await send(50);
        await receiveNumbered(stack, 50, 60);
        await end();
        await attachment.detach();
        await stack.close();
        object.close();
      });

      for (const mode of redirected[hook]) {
        test(`${hook}, ${mode}: a program redirects to the socket of its map, and to the stack without one`, async () => {
          const { kernel, near } = fixture;
          const sockets = mapOf('xskmap', 'sockets', 2);
          const object = await kernel.loadObject({ programs: [redirectProgram(sockets)], maps: [sockets] });
          const receive = { xskmap: object.maps.get('sockets')! };
          const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook });
          const stack = await open(near, { mode: 'v3' });
          const socket = await open(near, { receive, mode, queue: 0 });
          assert.equal(socket.mode.got, mode);
          for (let round = 0; round < 3; round++) {
            await send(200);
            await receiveNumbered(socket, 200, 60);
          }
          assert.equal((await stack.statistics()).kernelReceived, 0);
          await socket.close();
          await send(50);
          await receiveNumbered(stack, 50, 60);
          const again = await open(near, { receive, mode, queue: 0 });
          await send(100);
          await receiveNumbered(again, 100, 60);
          await attachment.detach();
          // Nothing redirects any more: the stack has everything, also of a queue that works in the socket's frames.
          await send(30);
          await receiveNumbered(stack, 30, 60);
          for (const one of [again, stack]) await one.close();
          object.close();
        });
      }
    }

    if (redirected.native.includes('xdp-zc')) {
      test('behind a generic program there is no zero-copy, and the reason is told', async () => {
        const { kernel, near } = fixture;
        const sockets = mapOf('xskmap', 'sockets', 2);
        const object = await kernel.loadObject({ programs: [redirectProgram(sockets)], maps: [sockets] });
        const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'generic' });
        const receive = { xskmap: object.maps.get('sockets')! };
        await assert.rejects(open(near, { receive, mode: 'xdp-zc', queue: 0 }), { code: 'MODE_UNSUPPORTED' });
        await attachment.detach();
        object.close();
      });
    }

    test('metadata of a program lies in front of the packets that a socket receives', async () => {
      const { kernel, near } = fixture;
      const object = await kernel.loadObject(assemble(METADATA));
      const receive = { xskmap: object.maps.get('sockets')! };
      const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
      for (const mode of redirected.native) {
        const socket = await open(near, { receive, mode, queue: 0 });
        await send(60);
        const batch = new PacketBatch(64);
        for (let seen = 0; seen < 60; ) {
          assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }), `${mode}: packet ${seen} never came`);
          socket.receive(batch);
          for (let i = 0; i < batch.length; i++) {
            const at = batch.offset[i]!;
            assert.equal(readNumberedFrame(socket.bytes, at, batch.size[i]!, 60), seen++, mode);
            assert.deepEqual(socket.bytes.slice(at - 4, at), word(0x1234_5678), mode);
          }
          socket.release(batch);
        }
        await socket.close();
      }
      await attachment.detach();
      object.close();
    });

    test('a program that is bound to an interface reads the hints of its packets', async () => {
      const { kernel, near, far } = fixture;
      await assert.rejects(kernel.loadObject(assemble(HINTS)), { code: 'PROGRAM_REFUSED', remedy: /boundTo/ });
      await assert.rejects(kernel.loadObject(assemble(HINTS), { boundTo: 'tp4none' }), { code: 'NO_INTERFACE' });
      const object = await kernel.loadObject(assemble(HINTS), { boundTo: near });
      const [program] = object.programs;
      assert.throws(() => program!.test(udpPacket()), { code: 'MODE_UNSUPPORTED', message: /hints/ });
      for (const request of [
        { interface: far, hook: 'native' },
        { interface: near, hook: 'generic' },
      ] as const) {
        await assert.rejects(kernel.attachProgram(program!, request), {
          code: 'MODE_UNSUPPORTED',
          message: /hints of/,
        });
      }
      const attachment = await kernel.attachProgram(program!, { interface: near, hook: 'native' });
      const stack = await open(near, { mode: 'v3' });
      await send(5);
      await receiveNumbered(stack, 5, 60);
      const noted = new DataView(object.maps.get('hints')!.lookup(word(0))!.slice().buffer);
      assert.deepEqual([noted.getInt32(0, true), noted.getInt32(4, true), noted.getInt32(24, true)], [0, 0, -61]);
      assert.equal(noted.getBigUint64(8, true) > 0n, options.hardwareTimes);
      // Of a tagged packet: a device that looks at packets knows the tag, which stays where it is.
      for (const protocol of [0x8100, 0x88a8]) {
        const plain = udpPacket();
        const tagged = new Uint8Array([
          ...plain.subarray(0, 12),
          protocol >> 8,
          protocol & 0xff,
          0x20,
          7,
          ...plain.subarray(12),
        ]);
        const sender = await open(far, { receive: 'none', mode: 'xdp-copy', queue: 0 });
        await sendPackets(sender, [tagged]);
        await sender.close();
        await fixture.settle();
        const value = new DataView(object.maps.get('hints')!.lookup(word(0))!.slice().buffer);
        const told = [value.getInt32(24, true), value.getUint16(28), value.getUint16(30, true)];
        if (options.hardwareTimes) assert.deepEqual(told, [0, protocol, 0x2007]);
        else assert.equal(told[0], -61);
      }
      await attachment.detach();
      await stack.close();
      object.close();
    });

    test('a program makes room at the head of packets', async () => {
      const { kernel, near } = fixture;
      const object = await kernel.loadObject(assemble(LONGER));
      const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
      const stack = await open(near, { mode: 'v3' });
      await send(20);
      for (const packet of await receivePackets(stack, 20)) {
        assert.equal(packet.length, 68);
        assert.deepEqual(packet.slice(0, 8), new Uint8Array(8).fill(2));
      }
      await attachment.detach();
      await stack.close();
      object.close();
    });

    test('a program sends packets on to another device, by a map of devices', async () => {
      const { kernel, near, end, otherIndex } = fixture;
      const devices = mapOf('devmap', 'devices');
      const object = await kernel.loadObject({ programs: [redirectProgram(devices, { entry: 1 })], maps: [devices] });
      object.maps.get('devices')!.update(word(1), word(otherIndex));
      assert.deepEqual(object.maps.get('devices')!.lookup(word(1)), word(otherIndex));
      const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
      const endAccepts = await accepting(end);
      const stack = await open(end, { mode: 'v3' });
      await send(100);
      await receiveNumbered(stack, 100, 60);
      await endAccepts();
      await attachment.detach();
      await stack.close();
      object.close();
    });

    test('a program hands packets to a CPU, by a map of CPUs', async () => {
      const { kernel, near } = fixture;
      const cpus = mapOf('cpumap', 'cpus');
      const object = await kernel.loadObject({ programs: [redirectProgram(cpus, { entry: 0 })], maps: [cpus] });
      object.maps.get('cpus')!.update(word(0), word(512));
      const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
      const stack = await open(near, { mode: 'v3' });
      await send(100);
      await receiveNumbered(stack, 100, 60);
      await attachment.detach();
      await stack.close();
      object.close();
    });

    test('programs chain by tail calls, which outlive their object while it is attached', async () => {
      const { kernel, near } = fixture;
      const chain = mapOf('prog_array', 'chain', 2, { initialEntries: [{ index: 1, name: 'second' }] });
      const object = await kernel.loadObject({
        programs: [
          tailCallProgram(chain, 1, XDP_PASS, { name: 'first' }),
          countingProgram(counts, XDP_DROP, { name: 'second' }),
          countingProgram(counts, XDP_DROP, { name: 'third', index: 1 }),
        ],
        maps: [chain, counts],
      });
      const [first, second, third] = object.programs;
      const map = object.maps.get('counts')!;
      assert.equal(first!.test(udpPacket()).verdict, XDP_DROP);
      assert.equal(number(map.lookup(word(0))), 1);
      object.maps.get('chain')!.update(word(1), word(third!.handle));
      assert.equal(first!.test(udpPacket(), 10).verdict, XDP_DROP);
      assert.equal(number(map.lookup(word(1))), 10);
      assert.equal(object.maps.get('chain')!.delete(word(1)), true);
      assert.equal(first!.test(udpPacket()).verdict, XDP_PASS);
      object.maps.get('chain')!.update(word(1), word(second!.handle));
      const attachment = await kernel.attachProgram(first!, { interface: near, hook: 'native' });
      object.close();
      await send(20);
      await counted(map, 21);
      await attachment.detach();
      assert.throws(() => map.lookup(word(0)), { code: 'WRONG_STATE' });
    });

    test('a program that takes the place of another under traffic loses no packet', async () => {
      const { kernel, near } = fixture;
      const programs = [0, 1].map((index) => countingProgram(counts, XDP_PASS, { name: `count${index}`, index }));
      const object = await kernel.loadObject({ programs, maps: [counts] });
      const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
      const stack = await open(near, { mode: 'v3' });
      for (let round = 1; round <= 20; round++) {
        const sent = send(50);
        await attachment.replace(object.programs[round % 2]!);
        await sent;
        await receiveNumbered(stack, 50, 60);
      }
      const [first, second] = [0, 1].map((index) => number(object.maps.get('counts')!.lookup(word(index))));
      assert.equal(first! + second!, 1000);
      assert.ok(first! > 0 && second! > 0);
      await attachment.detach();
      await stack.close();
      object.close();
    });

    test('a program that may read what is not its own is refused, and nothing of its object stays', async () => {
      const programs = [countingProgram(counts, XDP_DROP), uncheckedProgram({ name: 'hasty' })];
      const load = fixture.kernel.loadObject({ programs, maps: [counts] });
      await assert.rejects(load, {
        code: 'PROGRAM_REFUSED',
        message: /hasty.* slot 1 \(r0 = \*\(u8 \*\)\(r2 \+0\)\)/s,
      });
    });

    test('a test run tells verdict, packet and time, and refuses what is no packet', async () => {
      const object = await fixture.kernel.loadObject({ programs: [verdictProgram(77)], maps: [] });
      const [program] = object.programs;
      const run = program!.test(udpPacket({ length: 100 }), 1000);
      assert.deepEqual([run.verdict, Buffer.from(run.packet)], [77, Buffer.from(udpPacket({ length: 100 }))]);
      assert.ok(run.nanoseconds >= 0 && run.nanoseconds < 1e6, `${run.nanoseconds} ns`);
      assert.throws(() => program!.test(new Uint8Array(13)), { code: 'INVALID_OPTION', message: /13 bytes/ });
      assert.throws(() => program!.test(new Uint8Array(200_000)), { code: 'INVALID_OPTION', message: /200000 bytes/ });
      assert.throws(() => program!.test(udpPacket(), 0), { code: 'INVALID_OPTION', message: /repeat: 0/ });
      object.close();
      assert.throws(() => program!.test(udpPacket()), { code: 'WRONG_STATE' });
    });

    test('maps of another object take the place of its own', async () => {
      const { kernel } = fixture;
      const first = await kernel.loadObject({ programs: [countingProgram(counts, XDP_DROP)], maps: [counts] });
      const shared = first.maps.get('counts')!;
      const object = { programs: [countingProgram(counts, XDP_DROP, { index: 1 })], maps: [counts] };
      const second = await kernel.loadObject(object, { maps: { counts: shared } });
      second.programs[0]!.test(udpPacket(), 3);
      second.close();
      assert.equal(number(shared.lookup(word(1))), 3);
      first.close();
      const wrong = (message: RegExp) => ({ code: 'INVALID_OPTION', message });
      const load = (more: object) => kernel.loadObject(object, more);
      await assert.rejects(load({ maps: { count: shared } }), wrong(/no map count \(did you mean counts\?\)/));
      await assert.rejects(load({ maps: { counts: {} } }), wrong(/maps\.counts: it is no map in /));
      await assert.rejects(load({ programs: ['main'] }), wrong(/no program main/));
      await assert.rejects(load({ program: ['program'] }), wrong(/no option program/));
      const other = await kernel.loadObject({ programs: [], maps: [mapOf('hash', 'other')] });
      const given = { counts: other.maps.get('other')! };
      await assert.rejects(load({ maps: given }), wrong(/its type is hash, and array is wanted/));
      other.close();
    });

    test('attaching says what it cannot, and who is there', async () => {
      const { kernel, near } = fixture;
      const object = await kernel.loadObject({ programs: [verdictProgram(XDP_PASS, { name: 'tp4_first' })], maps: [] });
      const [program] = object.programs;
      const attach = (request: object) => kernel.attachProgram(program!, request as never);
      await assert.rejects(attach({ interface: 'tp4none', hook: 'native' }), { code: 'NO_INTERFACE' });
      await assert.rejects(attach({ interface: near, hook: 'driver' }), { code: 'INVALID_OPTION' });
      const attachment = await attach({ interface: near, hook: 'native' });
      for (const hook of HOOKS) {
        await assert.rejects(attach({ interface: near, hook }), { code: 'INTERFACE_BUSY', message: /tp4_first/ });
      }
      await assert.rejects(open(near, { mode: 'xdp-copy', queue: 0 }), {
        code: 'INTERFACE_BUSY',
        message: /tp4_first/,
      });
      await attachment.detach();
      const taker = await open(near, { mode: 'xdp-copy', queue: 0 });
      await assert.rejects(attach({ interface: near, hook: 'native' }), { code: 'INTERFACE_BUSY' });
      await taker.close();
      await assert.rejects(attachment.replace(program!), { code: 'WRONG_STATE' });
      object.close();
      await assert.rejects(attach({ interface: near, hook: 'native' }), { code: 'WRONG_STATE' });
    });
  });
}
