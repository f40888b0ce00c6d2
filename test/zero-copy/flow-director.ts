import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { driver, NEAR, open } from './cards.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

// Neither card can do it: the emulated igb (82576) has the driver's commands, but no entries; virtio_net has neither.
test(`${driver}: a card that cannot have n-tuple entries is refused, and receives by the program alone`, async () => {
  const receive = [{ etherType: 0x88b5 }];
  const errno = 95;
  await assert.rejects(open(NEAR, { receive, flowDirector: true, mode: 'xdp-zc' }), {
    ...{ code: 'RULES_UNSUPPORTED', errno, remedy: /no flowDirector/ },
    syscall: driver === 'igb' ? 'ioctl ETHTOOL_SRXCLSRLINS' : 'ioctl ETHTOOL_GRXCLSRLCNT',
  });
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'steer', 'list', NEAR], { encoding: 'utf8' });
  assert.equal(status, driver === 'igb' ? 0 : 1, stderr);
  assert.match(driver === 'igb' ? stdout : stderr, driver === 'igb' ? /^0 of 16 entries/ : /the device has none/);
  await using socket = await open(NEAR, { receive, mode: 'xdp-zc' });
  assert.equal(socket.mode.got, 'xdp-zc');
});
