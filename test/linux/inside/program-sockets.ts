import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { XDP_DROP } from '../../../src/ebpf/execution.js';
import type { Mode } from '../../../src/kernel/contract.js';
import type { LoadedObject } from '../../../src/kernel/programs.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import { receiveNumbered, sendNumbered } from '../../support/numbered-traffic.js';
import { VethPair } from '../../support/veth-pair.js';
import { mapOf, redirectProgram, verdictProgram } from '../../support/xdp-programs.js';

const pair = VethPair.inherited();
after(() => pair.close());
const { interface: near } = pair.near;
const { interface: far } = pair.far;
const kernel = new LinuxKernel();
after(() => kernel.close());

const buffer = { frames: 1024 };
const sockets = mapOf('xskmap', 'sockets', 2);

const load = (): Promise<LoadedObject> =>
  kernel.loadObject({
    programs: [redirectProgram(sockets, { name: 'to_sockets' }), verdictProgram(XDP_DROP, { name: 'drop' })],
    maps: [sockets, mapOf('xskmap', 'others', 2)],
  });
const open = (options: Omit<OpenSocketOptions, 'kernel' | 'interface'>): Promise<PacketSocket> =>
  openSocket({ kernel, interface: near, buffer, ...options });

/** Sends numbered packets from the far end through its queue 0, and veth takes them to queue 0 here. */
async function send(count: number): Promise<void> {
  const sender = await openSocket({ kernel, interface: far, receive: 'none', mode: 'xdp-copy', queue: 0, buffer });
  await sendNumbered(sender, count, 60);
  await sender.close();
}

/** The program of the interface by name, or "". */
const attached = (): string => /name (\w+)/.exec(pair.run(pair.near, 'ip', '-d', 'link', 'show', near))?.[1] ?? '';

for (const [hook, mode] of [
  ['native', 'xdp-copy'],
  ['generic', 'xdp-generic'],
] as const) {
  test(`${hook}: a program of one's own redirects to the sockets of its map`, async () => {
    const object = await load();
    const xskmap = object.maps.get('sockets')!;
    const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook });
    const stack = await open({ receive: 'all', mode: 'v3' });
    const socket = await open({ receive: { xskmap }, queue: 0 });
    // The ladder takes the first mode that goes with the way the program is attached.
    assert.equal(socket.mode.got, mode);
    await send(200);
    await receiveNumbered(socket, 200, 60);
    assert.equal((await stack.statistics()).kernelReceived, 0);
    // Closed, it is out of the map, and the program's packets go where it says.
    await socket.close();
    await send(50);
    await receiveNumbered(stack, 50, 60);
    const again = await open({ receive: { xskmap }, queue: 0 });
    await send(100);
    await receiveNumbered(again, 100, 60);
    await attachment.detach();
    for (const one of [again, stack]) await one.close();
    object.close();
  });

  test(`${hook}: modes that do not go with the program are refused, and say why`, async () => {
    const object = await load();
    const xskmap = object.maps.get('sockets')!;
    const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook });
    const wrong: Mode = hook === 'native' ? 'xdp-generic' : 'xdp-copy';
    await assert.rejects(open({ receive: { xskmap }, queue: 0, mode: wrong }), {
      code: 'MODE_UNSUPPORTED',
      message: new RegExp(
        `XDP program \\d+ \\(to_sockets\\) of ${near} is attached in ${hook} mode, and ${wrong} wants`,
      ),
      remedy: /attach the program with the hook/,
    });
    await attachment.detach();
    object.close();
  });
}

test('a socket may come before the program', async () => {
  const object = await load();
  const socket = await open({ receive: { xskmap: object.maps.get('sockets')! }, queue: 0 });
  assert.deepEqual([socket.mode.got, attached()], ['xdp-copy', '']);
  const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
  await send(100);
  await receiveNumbered(socket, 100, 60);
  await attachment.replace(object.programs[1]!);
  await send(30);
  await attachment.replace(object.programs[0]!);
  await send(60);
  await receiveNumbered(socket, 60, 60);
  await attachment.detach();
  await socket.close();
  object.close();
});

test('two queues have a socket each in one map', async () => {
  const object = await load();
  const xskmap = object.maps.get('sockets')!;
  const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
  const both = [await open({ receive: { xskmap }, queue: 0 }), await open({ receive: { xskmap }, queue: 1 })];
  for (const [queue, socket] of both.entries()) {
    const sender = await openSocket({ kernel, interface: far, receive: 'none', mode: 'xdp-copy', queue, buffer });
    await sendNumbered(sender, 40, 60);
    await receiveNumbered(socket, 40, 60);
    await sender.close();
  }
  for (const socket of both) await socket.close();
  await attachment.detach();
  object.close();
});

test('a socket is steered between maps, rules and nothing', async () => {
  const object = await load();
  const [xskmap, others] = ['sockets', 'others'].map((name) => object.maps.get(name)!);
  const socket = await open({ receive: { xskmap: xskmap! }, queue: 0 });
  let attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
  // Another program is attached: the kernel's own has no place.
  await assert.rejects(socket.steer('all'), { code: 'INTERFACE_BUSY' });
  await send(20);
  await receiveNumbered(socket, 20, 60);
  await socket.steer({ xskmap: others! });
  await send(20);
  await socket.steer({ xskmap: xskmap! });
  await send(30);
  await receiveNumbered(socket, 30, 60);
  await socket.steer('none');
  await send(20);
  await attachment.detach();
  await socket.steer('all');
  assert.equal(attached(), 'tp4_redirect');
  await send(40);
  await receiveNumbered(socket, 40, 60);
  await socket.steer({ xskmap: xskmap! });
  assert.equal(attached(), '');
  attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
  await send(50);
  await receiveNumbered(socket, 50, 60);
  await attachment.detach();
  await socket.close();
  object.close();
});

test('what cannot be is refused before anything is opened', async () => {
  const object = await load();
  const xskmap = object.maps.get('sockets')!;
  for (const mode of ['v3', 'v2'] as const) {
    await assert.rejects(open({ receive: { xskmap }, mode }), {
      code: 'MODE_UNSUPPORTED',
      message: new RegExp(`a socket in mode ${mode} cannot be in a map of AF_XDP sockets`),
    });
  }
  const one = mapOf('xskmap', 'one', 1);
  const small = await kernel.loadObject({ programs: [], maps: [one] });
  await assert.rejects(open({ receive: { xskmap: small.maps.get('one')! }, queue: 1, mode: 'xdp-copy' }), {
    code: 'MAP_FULL',
    message: /map one: it has no entry for queue 1/,
  });
  small.close();
  object.close();
  await assert.rejects(open({ receive: { xskmap }, queue: 0, mode: 'xdp-copy' }), { code: 'WRONG_STATE' });
});
