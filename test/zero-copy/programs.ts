import assert from 'node:assert/strict';
import { test } from 'node:test';
import { XDP_PASS } from '../../src/ebpf/execution.js';
import { receiveNumbered, sendNumbered } from '../support/numbered-traffic.js';
import { mapOf, redirectProgram, verdictProgram } from '../support/xdp-programs.js';
import { driver, FAR, kernel, NEAR, open } from './cards.js';

const COUNT = 100;
const SIZE = 60;

test(`${driver}: a program of one's own redirects to a socket in zero-copy, which also sends`, async () => {
  const sockets = mapOf('xskmap', 'sockets', 2);
  const object = await kernel.loadObject({ programs: [redirectProgram(sockets)], maps: [sockets] });
  const attachment = await kernel.attachProgram(object.programs[0]!, { interface: NEAR, hook: 'native' });
  {
    await using near = await open(NEAR, { receive: { xskmap: object.maps.get('sockets')! }, mode: 'xdp-zc' });
    await using far = await open(FAR);
    await sendNumbered(far, COUNT, SIZE);
    await receiveNumbered(near, COUNT, SIZE);
    await sendNumbered(near, COUNT, SIZE);
    await receiveNumbered(far, COUNT, SIZE);
  }
  await attachment.detach();
  object.close();
});

test(`${driver}: a socket that only sends in zero-copy does so beside another program, and none receives there`, async () => {
  const object = await kernel.loadObject({ programs: [verdictProgram(XDP_PASS, { name: 'other' })], maps: [] });
  const attachment = await kernel.attachProgram(object.programs[0]!, { interface: FAR, hook: 'native' });
  {
    await using near = await open(NEAR);
    await assert.rejects(open(FAR, { mode: 'xdp-zc' }), { code: 'INTERFACE_BUSY', message: /other/ });
    await using far = await open(FAR, { receive: 'none', mode: 'xdp-zc' });
    await sendNumbered(far, COUNT, SIZE);
    await receiveNumbered(near, COUNT, SIZE);
    await far.steer('none');
    await sendNumbered(far, COUNT, SIZE);
    await receiveNumbered(near, COUNT, SIZE);
  }
  await attachment.detach();
  object.close();
});
