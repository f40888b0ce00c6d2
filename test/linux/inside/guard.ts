import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = fileURLToPath(new URL('../../support/programs/ssh-session.js', import.meta.url));
const { interface: name } = pair.near;
const kernel = new LinuxKernel({ arena: Arena.create(2 ** 25) });
const open = (options: Partial<OpenSocketOptions> = {}) =>
  openSocket({
    ...({ kernel, interface: name, mode: 'xdp-copy', receive: 'all', ring: 64, buffer: { frames: 256 } } as const),
    ...options,
  });
const attached = (): boolean => /prog\/xdp/.test(pair.run(pair.near, 'ip', 'link', 'show', name));

for (const [family, near, far] of [
  ['IPv4', '192.0.2.1', '192.0.2.2'],
  ['IPv6', '2001:db8::1', '2001:db8::2'],
] as const) {
  test(`an established ssh session over the interface keeps all packets from being taken (${family})`, async () => {
    const bits = family === 'IPv4' ? 24 : 64;
    for (const [end, address] of [
      [pair.near, near],
      [pair.far, far],
    ] as const) {
      if (family === 'IPv6') pair.run(end, 'sysctl', '-qw', `net.ipv6.conf.${end.interface}.disable_ipv6=0`);
      const noDetection = family === 'IPv6' ? ['nodad'] : [];
      pair.run(end, 'ip', 'address', 'add', `${address}/${bits}`, 'dev', end.interface, ...noDetection);
    }
    await (await open()).close(); // no session yet
    const server = pair.start(pair.near, program, 'serve', near);
    await server.line('listening');
    await (await open()).close(); // a listener is no session
    const client = pair.start(pair.far, program, 'connect', near);
    await client.line('connected');
    await server.line('connected');
    const guarded = {
      code: 'GUARDED_INTERFACE',
      message: /ssh session comes over tp4near/,
      remedy: /allowCutoff: true/,
    };
    await assert.rejects(open(), guarded);
    assert.equal(attached(), false);
    const sender = await open({ receive: 'none' });
    await assert.rejects(sender.steer('all'), guarded);
    await sender.close();
    await (await open({ receive: [{ protocol: 'udp', port: 9 }] })).close(); // rules leave the session to the stack
    await (await open({ allowCutoff: true })).close();
    for (const { process, result } of [client, server]) {
      process.kill('SIGKILL');
      await result;
    }
  });
}

test('the session that this program was started in is known from its environment', async () => {
  process.env.SSH_CONNECTION = '192.0.2.2 54000 192.0.2.1 2222';
  try {
    await assert.rejects(open(), { code: 'GUARDED_INTERFACE', message: /this ssh session/ });
  } finally {
    delete process.env.SSH_CONNECTION;
  }
  await (await open()).close();
});
