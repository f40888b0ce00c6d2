import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import type { ErrorCode, PacketError } from '../../../src/errors.js';
import type { BindRequest } from '../../../src/kernel/contract.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { VethPair } from '../../support/veth-pair.js';
import { openXdp, type XdpSessionOptions } from '../../support/xdp-session.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const { interface: name } = pair.near;
const arena = Arena.create(2 ** 26);
const kernel = new LinuxKernel({ arena });
const buffer = PacketBuffer.create({ arena, frames: 256 });

const open = (options: Partial<XdpSessionOptions>) =>
  openXdp({ interface: name, mode: 'xdp-copy', receive: 'all', kernel, buffer, entries: 64, ...options });

/** The call must fail so, and must leave nothing behind: neither pages of the arena nor an attached program. */
async function refused(
  opening: () => Promise<unknown>,
  code: ErrorCode,
  message: RegExp,
  remedy?: RegExp,
  errno?: number,
): Promise<void> {
  const free = arena.freeBytes;
  await assert.rejects(opening, (error: PacketError) => {
    assert.equal(error.code, code, String(error));
    assert.match(error.message, message);
    if (remedy !== undefined) assert.match(error.remedy, remedy);
    if (errno !== undefined) {
      assert.equal(error.errno, errno);
      assert.ok(error.syscall);
    }
    return true;
  });
  assert.equal(arena.freeBytes, free);
}

const attached = (): boolean => /prog\/xdp/.test(pair.run(pair.near, 'ip', 'link', 'show', name));

test('zero-copy on a driver without it', async () => {
  await refused(
    () => open({ mode: 'xdp-zc' }),
    'NO_DRIVER_ZEROCOPY',
    /queue 0 of tp4near in xdp-zc.*veth.*EOPNOTSUPP/,
    /xdp-copy/,
    95,
  );
  assert.equal(attached(), false);
});

test('interfaces and queues that do not exist', async () => {
  await refused(() => open({ interface: 'tp4none' }), 'NO_INTERFACE', /"tp4none"/, /ip link/);
  await refused(() => open({ interface: '../../etc' }), 'NO_INTERFACE', /"\.\.\/\.\.\/etc"/);
  await refused(() => open({ interface: 'a-name-of-more-than-15-letters' }), 'NO_INTERFACE', /no interface/);
  for (const queue of [1, -1, 0.5, Number.NaN, 2 ** 32]) {
    await refused(() => open({ queue }), 'NO_QUEUE', /tp4near, which has 1/, /ethtool/);
  }
});

test('modes and versions that this kernel does not have', async () => {
  const v4 = 'v4' as BindRequest['mode'];
  await refused(() => open({ mode: v4 }), 'MODE_UNSUPPORTED', /v4/);
  await refused(() => kernel.socket('v4'), 'MODE_UNSUPPORTED', /V4/, /AF_XDP/);
});

test('a queue that another socket has, in this process or another', async () => {
  const first = await open({});
  await refused(() => open({}), 'QUEUE_BUSY', /queue 0 of tp4near .* this program/, /close that socket/);
  await refused(() => open({ mode: 'xdp-generic' }), 'QUEUE_BUSY', /queue 0 of tp4near/);
  await first.close();
  const other = pair.start(pair.near, program('wait-forever'), name);
  await other.line('waiting');
  const { pid } = other.process;
  // By name where the kernel lists AF_XDP sockets, and otherwise as the one process that has any.
  const holder = new RegExp(`another AF_XDP socket has queue 0.* of process ${pid} \\(node\\)`);
  await refused(() => open({}), 'QUEUE_BUSY', holder, /another queue/, 16);
  other.process.kill('SIGKILL');
  await other.result;
  await (await open({})).close();
});

test('native mode where the driver runs no programs', async () => {
  const generic = await open({ interface: 'lo', mode: 'xdp-generic' });
  await generic.close();
  await refused(
    () => open({ interface: 'lo', mode: 'xdp-copy' }),
    'MODE_UNSUPPORTED',
    /runs no XDP programs itself/,
    /xdp-generic/,
    95,
  );
});

test('packets longer than a frame', async () => {
  pair.run(pair.near, 'ip', 'link', 'set', name, 'mtu', '3000');
  try {
    await refused(() => open({}), 'FRAME_TOO_SMALL', /3014 bytes.*1792/, /frameSize: 4096/);
    const large = PacketBuffer.create({ arena, frames: 64, frameSize: 4096 });
    const session = await open({ buffer: large });
    assert.equal(session.binding.largestPacket, 3014);
    await session.close();
    large.close();
    const sender = await open({ receive: 'none' }); // nothing is received: nothing can be too long
    assert.equal(sender.binding.largestPacket, 2048);
    await sender.close();
    pair.run(pair.near, 'ip', 'link', 'set', name, 'mtu', '9000');
    await refused(() => open({}), 'FRAME_TOO_SMALL', /9014 bytes/, /mtu 3826/);
  } finally {
    pair.run(pair.near, 'ip', 'link', 'set', name, 'mtu', '1500');
  }
});

test('calls out of order and wrong sizes', async () => {
  const bind: BindRequest = { interface: name, mode: 'xdp-copy', receive: 'all', segments: false };
  const socket = await kernel.socket('xdp');
  await refused(() => socket.map(), 'WRONG_STATE', /map/);
  await refused(() => socket.bind(bind), 'WRONG_STATE', /bind/);
  await refused(() => socket.steer('all'), 'WRONG_STATE', /steer/);
  await refused(() => socket.createRings({ receive: 0, transmit: 0 }), 'INVALID_OPTION', /receive, transmit/);
  await refused(() => socket.createRings({ receive: 100, transmit: 0 }), 'INVALID_OPTION', /receive: 100/);
  await refused(
    () => socket.createRings({ receive: 64, transmit: 64, fill: 2 ** 21 }),
    'INVALID_OPTION',
    /fill: 2097152/,
  );
  const memory = { base: buffer.base, frames: 16, frameSize: 2048, headroom: 0 };
  await refused(() => socket.registerMemory({ ...memory, frameSize: 1024 }), 'INVALID_OPTION', /frameSize: 1024/);
  await refused(() => socket.registerMemory({ ...memory, base: memory.base + 2048 }), 'INVALID_OPTION', /page/);
  await refused(() => socket.registerMemory({ ...memory, frames: 2 ** 30 }), 'INVALID_OPTION', /frames/);
  await refused(() => socket.registerMemory({ ...memory, headroom: 2048 }), 'INVALID_OPTION', /headroom/);
  await socket.registerMemory(memory);
  await refused(() => socket.registerMemory(memory), 'WRONG_STATE', /registerMemory/);
  await socket.createRings({ receive: 0, transmit: 64 });
  await refused(() => socket.createRings({ receive: 64, transmit: 64 }), 'WRONG_STATE', /createRings/);
  const maps = await socket.map();
  assert.equal(maps.receive, undefined);
  assert.equal(maps.wakeReceive, 0);
  assert.ok(maps.fill && maps.completion);
  await assert.rejects(socket.bind(bind), { code: 'INVALID_OPTION' });
  await socket.close();
  await socket.close();
  await refused(() => socket.bind(bind), 'SOCKET_CLOSED', /closed/);
  socket.kick('transmit');
  socket.kick('receive');
});

/** Runs `open-socket` with some of root's capabilities taken away; the error it met. */
async function openWithout(
  capabilities: string,
  limits = '',
): Promise<{ code: string; message: string; remedy: string }> {
  const command = `${limits} exec setpriv --bounding-set=${capabilities} --inh-caps=-all ${process.execPath} ${program('wait-forever')} ${name}`;
  const { stderr } = await pair.startCommand(pair.near, 'sh', '-c', command).result;
  const fact = (key: string): string => new RegExp(`${key}: ['"\`](.*)['"\`]`).exec(stderr)?.[1] ?? stderr;
  return { code: fact('code'), message: stderr, remedy: fact('remedy') };
}

test('no privilege', async () => {
  const none = await openWithout('-all');
  assert.equal(none.code, 'NO_PRIVILEGE');
  assert.match(none.remedy, /CAP_NET_RAW/);
  const noBpf = await openWithout('-bpf,-sys_admin,-net_admin');
  assert.equal(noBpf.code, 'NO_PRIVILEGE');
  assert.match(noBpf.remedy, /CAP_BPF and CAP_NET_ADMIN/);
  const locked = await openWithout('-ipc_lock', 'ulimit -l 64;');
  assert.equal(locked.code, 'NO_PRIVILEGE');
  assert.match(locked.message, /locked memory/);
  assert.match(locked.remedy, /ulimit -l/);
});

test('the interfaces of this namespace', async () => {
  const found = await kernel.interfaces();
  assert.deepEqual(
    found.map(({ name }) => name),
    ['lo', name],
  );
  const near = found[1]!;
  assert.equal(near.driver, 'veth');
  assert.equal(near.queues, 1);
  assert.equal(near.mtu, 1500);
  assert.equal(near.up, true);
  assert.equal(near.mac, pair.near.mac);
  assert.ok(near.modes.includes('xdp-copy'));
  assert.equal(found[0]!.driver, 'loopback');
});

test('a closed kernel', async () => {
  await kernel.close();
  await kernel.close();
  await refused(() => kernel.socket('xdp'), 'WRONG_STATE', /closed/);
});
