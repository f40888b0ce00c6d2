import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { reasonToSkip } from '../support/privileges.js';
import { type ProgramResult, VethPair } from '../support/veth-pair.js';

const skip = reasonToSkip() ?? false;
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const COUNT = fileURLToPath(new URL('../../../examples/xdp/count-protocols.s', import.meta.url));

const REPORTS = fileURLToPath(new URL('../../../test/objects/traffic-reports.o', import.meta.url));
const SEND = fileURLToPath(new URL('../support/programs/send-packets.js', import.meta.url));

let pair: VethPair;
before(() => {
  if (skip === false) pair = VethPair.create();
});
after(() => pair?.close());

const start = (...args: string[]) => pair.start(pair.near, MAIN, 'xdp', ...args);
const list = async (...args: string[]): Promise<ProgramResult> => start('list', ...args).result;

test('a program is attached until the command ends, and listed meanwhile', { skip }, async () => {
  const { interface: name } = pair.near;
  assert.match((await list()).stdout, new RegExp(`^${name}: no program$`, 'm'));
  for (const hook of ['native', 'generic']) {
    const loading = start('load', COUNT, name, '--hook', hook, '--maps');
    await loading.line(`count_protocols is attached to ${name} (${hook})`);
    assert.match((await list(name)).stdout, new RegExp(`^${name}: count_protocols, id \\d+, ${hook}\n$`));
    const [listed] = JSON.parse((await list(name, '--json')).stdout);
    assert.deepEqual([listed.interface, listed.programs.value.length], [name, 1]);
    const second = await start('load', COUNT, name, '--seconds', '0.1').result;
    assert.equal(second.status, 1);
    assert.match(second.stderr, /count_protocols/, 'who is there already');
    loading.process.kill('SIGINT');
    const { status, stdout } = await loading.result;
    assert.equal(status, 0, stdout);
    assert.match(stdout, /is detached from tp4near\n\nmap protocols: array, key 4, value 8, 256 entries/);
    assert.match((await list(name)).stdout, /no program/);
  }
});

test('a program whose command is killed is detached as well', { skip }, async () => {
  const loading = start('load', COUNT, pair.near.interface);
  await loading.line('count_protocols is attached to tp4near (native)');
  loading.process.kill('SIGKILL');
  await loading.result;
  for (let i = 0; i < 200 && !/no program/.test((await list(pair.near.interface)).stdout); i++) await sleep(10);
  assert.match((await list(pair.near.interface)).stdout, /no program/);
});

test('--records prints what the program reports', { skip }, async () => {
  const { interface: name } = pair.near;
  const reports = ['load', REPORTS, name, '--program', 'traffic', '--records'];
  const loading = start(...reports, 'reports', '--seconds', '60');
  await loading.line('traffic is attached to tp4near (native)');
  const packet = `ffffffffffff020000000002${'88b5'}${'00'.repeat(46)}`;
  await pair.start(pair.far, SEND, pair.far.interface, packet, `${packet}00`).result;
  await loading.line('3d 00 00 00 ff 00 00 00');
  loading.process.kill('SIGINT');
  const { status, stdout } = await loading.result;
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^3c 00 00 00 ff 00 00 00\n3d 00 00 00 ff/m);
  const wrong = await start(...reports, 'report').result;
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /--records: the object has no map report \(did you mean reports\?\)/);
  const other = await start(...reports, 'protocols').result;
  assert.match(other.stderr, /map protocols: type hash holds no records/);
});

test('--seconds ends it', { skip }, async () => {
  const { status, stdout, stderr } = await start('load', COUNT, pair.near.interface, '--seconds', '0.1').result;
  assert.equal(status, 0, stderr);
  assert.match(
    stdout,
    /^count_protocols is attached to tp4near \(native\)\ncount_protocols is detached from tp4near\n$/,
  );
});
