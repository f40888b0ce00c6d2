import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InterfaceSettings } from './interface-settings.js';
import { Journal } from './journal.js';
import { repair } from './repair.js';
import { SystemCalls } from './system-calls.js';

const skip = process.platform === 'linux' ? false : 'needs Linux';
const program = fileURLToPath(new URL('../../test/support/programs/hold-settings.js', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'tpacket4-processes-'));
after(() => rmSync(root, { recursive: true }));

/** A journal and an interface eth7, as several processes share them. */
function surroundings(name: string) {
  const [folder, sysfs] = [join(root, name, 'journal'), join(root, name, 'sysfs')];
  mkdirSync(join(sysfs, 'eth7'), { recursive: true });
  const files = { ifindex: '7', napi_defer_hard_irqs: '0', gro_flush_timeout: '20000' };
  for (const [file, value] of Object.entries(files)) writeFileSync(join(sysfs, 'eth7', file), `${value}\n`);
  const settings = new InterfaceSettings(sysfs);
  return {
    start: (rounds: number) =>
      spawn(process.execPath, [program, folder, sysfs, 'eth7', String(rounds)], { stdio: 'pipe' }),
    values: () => [settings.read('eth7', 'napi_defer_hard_irqs'), settings.read('eth7', 'gro_flush_timeout')],
    notes: () => readdirSync(folder).filter((file) => file !== 'lock'),
    repair: () => repair(true, { journal: new Journal(folder), settings, namespace: 1 }),
  };
}

/** Resolves with the exit code and what it has said on standard error. */
async function end(child: ChildProcess): Promise<unknown[]> {
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  return [code, said];
}

test('processes that change and put back the same settings at once leave the values from before all of them', {
  skip,
}, async () => {
  const world = surroundings('together');
  const children = Array.from({ length: 4 }, () => world.start(150));
  assert.deepEqual(await Promise.all(children.map(end)), new Array(4).fill([0, '']));
  assert.deepEqual(world.values(), ['0', '20000']);
  assert.deepEqual(world.notes(), []);
});

test('and so do ones that are killed meanwhile, once the next has repaired', { skip }, async () => {
  await SystemCalls.load();
  const world = surroundings('killed');
  const survivor = world.start(200);
  const ended = end(survivor);
  for (let i = 0; i < 6; i++) {
    const child = world.start(0);
    const gone = once(child, 'close');
    await once(child.stdout!, 'data'); // "held"
    child.kill('SIGKILL');
    await gone;
  }
  assert.deepEqual(await ended, [0, '']);
  world.repair();
  assert.deepEqual(world.values(), ['0', '20000']);
  assert.deepEqual(world.notes(), []);
});
