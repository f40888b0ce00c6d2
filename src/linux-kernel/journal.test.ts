import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { InterfaceSettings } from './interface-settings.js';
import { type Change, Journal } from './journal.js';
import { withNapiSettings } from './napi-settings.js';
import { currentProcess } from './process-identity.js';
import { repair } from './repair.js';

const skip = process.platform === 'win32' ? 'needs the modes of files' : false;
const root = mkdtempSync(join(tmpdir(), 'tpacket4-journal-'));
after(() => rmSync(root, { recursive: true }));
let made = 0;

/** A journal, an interface eth7 with index 7, and a /proc in which processes live and die. */
function surroundings() {
  const base = join(root, String(made++));
  const [folder, sysfs, proc] = ['journal', 'sysfs', 'proc'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(join(sysfs, 'eth7'), { recursive: true });
  const files = { ifindex: '7', napi_defer_hard_irqs: '0', gro_flush_timeout: '20000' };
  for (const [name, value] of Object.entries(files)) writeFileSync(join(sysfs, 'eth7', name), `${value}\n`);
  mkdirSync(join(proc, 'sys/kernel/random'), { recursive: true });
  writeFileSync(join(proc, 'sys/kernel/random/boot_id'), 'this-boot\n');
  const live = (pid: number, start: number): void => {
    mkdirSync(join(proc, String(pid)), { recursive: true });
    const fields = Array.from({ length: 30 }, (_, i) => (i === 18 ? start : 0));
    writeFileSync(join(proc, String(pid), 'stat'), `${pid} (a (strange) name) S ${fields.join(' ')}\n`);
  };
  live(process.pid, 5000);
  const settings = new InterfaceSettings(sysfs);
  const value = (name: 'napi_defer_hard_irqs' | 'gro_flush_timeout'): string => settings.read('eth7', name);
  const journal = (): Journal => new Journal(folder, proc);
  /** A journal file as another process would have written it. */
  const note = (pid: number, start: number, changes: unknown, more: object = {}): string => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const owner = { ...currentProcess(proc), pid, start: String(start), ...more };
    const path = join(folder, `${pid}-${start}-0.json`);
    writeFileSync(path, JSON.stringify({ version: 1, process: owner, changes }), { mode: 0o600 });
    return path;
  };
  return {
    folder,
    sysfs,
    proc,
    live,
    settings,
    value,
    journal,
    note,
    names: () => readdirSync(folder).filter((name) => name !== 'lock'),
  };
}

const change: Change = {
  ...{ setting: 'napi_defer_hard_irqs', interface: 'eth7', index: 7, namespace: 1, before: '0', after: '2' },
};
const options = { deferHardIrqs: 2, groFlushTimeoutNanoseconds: 200_000 };

test('settings are noted before they are made, and put back', { skip }, () => {
  const world = surroundings();
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  const undo = withNapiSettings('eth7', options, place);
  assert.deepEqual([world.value('napi_defer_hard_irqs'), world.value('gro_flush_timeout')], ['2', '200000']);
  const [file] = world.journal().read().files;
  assert.deepEqual(
    file?.changes.map(({ setting, before, after }) => [setting, before, after]),
    [
      ['napi_defer_hard_irqs', '0', '2'],
      ['gro_flush_timeout', '20000', '200000'],
    ],
  );
  // A second socket of the process shares them; another wish is refused, and changes nothing.
  const second = withNapiSettings('eth7', options, place);
  assert.throws(() => withNapiSettings('eth7', { ...options, deferHardIrqs: 9 }, place), { code: 'WRONG_STATE' });
  undo();
  undo();
  assert.equal(world.value('napi_defer_hard_irqs'), '2');
  second();
  assert.deepEqual([world.value('napi_defer_hard_irqs'), world.value('gro_flush_timeout')], ['0', '20000']);
  assert.deepEqual(world.names(), []);
});

test('bad options and interfaces change nothing', { skip }, () => {
  const world = surroundings();
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  for (const deferHardIrqs of [-1, 0.5, 2 ** 31, Number.NaN]) {
    assert.throws(() => withNapiSettings('eth7', { ...options, deferHardIrqs }, place), { code: 'INVALID_OPTION' });
  }
  for (const name of ['eth8', '..', 'a/b', '']) {
    assert.throws(() => withNapiSettings(name, options, place), { code: 'NO_INTERFACE' });
  }
  rmSync(join(world.sysfs, 'eth7/gro_flush_timeout')); // an old kernel: the first setting is put back
  assert.throws(() => withNapiSettings('eth7', options, place), { code: 'MODE_UNSUPPORTED' });
  assert.equal(world.value('napi_defer_hard_irqs'), '0');
  assert.deepEqual(world.names(), []);
});

test('what cannot be noted is not changed', { skip }, () => {
  const world = surroundings();
  writeFileSync(world.folder, 'not a folder');
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  assert.throws(() => withNapiSettings('eth7', options, place), { code: 'SYSTEM_CALL', remedy: /folder/ });
  assert.equal(world.value('napi_defer_hard_irqs'), '0');
});

test('what a dead process left is undone, once; a live one is let be', { skip }, () => {
  const world = surroundings();
  world.settings.write('eth7', 'napi_defer_hard_irqs', '2');
  world.live(77, 1234);
  world.note(77, 1234, [change]);
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  assert.deepEqual(repair(true, place).repairs, []);
  assert.equal(world.value('napi_defer_hard_irqs'), '2');
  world.live(77, 9999); // its number went to another process
  assert.deepEqual(repair(false, place).repairs, [{ change, outcome: 'pending' }]);
  assert.equal(world.value('napi_defer_hard_irqs'), '2');
  assert.deepEqual(repair(true, place).repairs, [{ change, outcome: 'undone' }]);
  assert.equal(world.value('napi_defer_hard_irqs'), '0');
  assert.deepEqual(world.names(), []);
  assert.deepEqual(repair(true, place).repairs, []);
});

test('whoever opens after a killed process starts from the values before both', { skip }, () => {
  const world = surroundings();
  world.settings.write('eth7', 'napi_defer_hard_irqs', '2');
  world.note(78, 1, [change]);
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  withNapiSettings('eth7', options, place)();
  assert.equal(world.value('napi_defer_hard_irqs'), '0');
});

test('two processes with the same setting: the last one puts it back', { skip }, () => {
  const world = surroundings();
  world.live(80, 1);
  const other = world.note(80, 1, [change]);
  world.settings.write('eth7', 'napi_defer_hard_irqs', '2');
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  const undo = withNapiSettings('eth7', { ...options, deferHardIrqs: 5 }, place);
  assert.equal(world.value('napi_defer_hard_irqs'), '5');
  undo(); // the other one still holds it, and has noted the value from before
  assert.equal(world.value('napi_defer_hard_irqs'), '5');
  assert.equal(readFileSync(other, 'utf8').includes('"before":"0"'), true);
  const again = withNapiSettings('eth7', options, place);
  rmSync(other); // now the other one closes first
  again();
  assert.equal(world.value('napi_defer_hard_irqs'), '0');
});

test('what is not in force any more is not put back', { skip }, () => {
  const world = surroundings();
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  world.note(81, 1, [change]); // the value is 0 already, or the administrator's
  assert.deepEqual(repair(true, place).repairs, [{ change, outcome: 'void' }]);
  world.note(82, 1, [{ ...change, index: 8 }]); // another interface has the name now
  world.note(83, 1, [{ ...change, interface: 'eth9' }]);
  assert.deepEqual(
    repair(true, place).repairs.map(({ outcome }) => outcome),
    ['void', 'void'],
  );
  assert.deepEqual(world.names(), []);
});

test('namespaces, boots and versions', { skip }, () => {
  const world = surroundings();
  world.settings.write('eth7', 'napi_defer_hard_irqs', '2');
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  world.note(84, 1, [change], { pidNamespace: 4711 }); // whether it lives is not to be known from here
  assert.deepEqual(repair(true, place).repairs, []);
  rmSync(join(world.folder, '84-1-0.json'));
  world.note(85, 1, [{ ...change, setting: 'of_the_future' }]);
  assert.deepEqual(
    repair(true, place).repairs.map(({ outcome, why }) => [outcome, why]),
    [['kept', 'another version of tpacket4 has made it']],
  );
  assert.deepEqual(world.names(), ['85-1-0.json']);
  world.live(process.pid, 5000);
  world.note(process.pid, 5000, [change], { boot: 'an-earlier-boot' }); // the same number and time, after another boot
  assert.equal(
    repair(true, place).repairs.find(({ change: { setting } }) => setting === change.setting)?.outcome,
    'undone',
  );
});

test('a journal cannot make anybody write elsewhere', { skip }, () => {
  const world = surroundings();
  const victim = join(world.sysfs, 'victim');
  mkdirSync(victim);
  writeFileSync(join(victim, 'ifindex'), '7\n');
  writeFileSync(join(victim, 'napi_defer_hard_irqs'), '2\n');
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  world.note(86, 1, [
    { ...change, interface: '../sysfs/victim' },
    { ...change, interface: 'victim', before: '1; rm' },
    { ...change, interface: 'victim', setting: '../victim/napi_defer_hard_irqs' },
  ]);
  repair(true, place);
  assert.equal(readFileSync(join(victim, 'napi_defer_hard_irqs'), 'utf8'), '2\n');
  world.settings.write('eth7', 'napi_defer_hard_irqs', '2');
  world.note(87, 1, [change]);
  chmodSync(world.folder, 0o777); // anybody could have written it
  assert.deepEqual(repair(true, place), { repairs: [], discarded: [] });
  assert.equal(world.value('napi_defer_hard_irqs'), '2');
});

test('torn and damaged files are removed, and harm nobody', { skip }, () => {
  const world = surroundings();
  const place = { journal: world.journal(), settings: world.settings, namespace: 1 };
  const whole = JSON.stringify({
    version: 1,
    process: { ...currentProcess(world.proc), pid: 90, start: '1' },
    changes: [change],
  });
  const random = new Random(4711);
  for (let round = 0; round < 300; round++) {
    mkdirSync(world.folder, { recursive: true, mode: 0o700 });
    const bytes = Buffer.from(whole).subarray(0, random.between(0, whole.length - 1));
    for (let i = random.below(3); i > 0 && bytes.length > 0; i--) bytes[random.below(bytes.length)] = random.word();
    const path = join(world.folder, '90-1-0.json');
    writeFileSync(path, bytes, { mode: 0o600 });
    const report = repair(true, place);
    assert.deepEqual(report, { repairs: [], discarded: [path] }, `seed ${random.seed}, round ${round}`);
    assert.deepEqual(world.names(), []);
  }
  for (const text of ['null', '[]', '{"version":1}', '{"version":1,"process":{},"changes":[]}']) {
    writeFileSync(join(world.folder, 'x.json'), text, { mode: 0o600 });
    assert.equal(repair(true, place).discarded.length, 1, text);
  }
  writeFileSync(join(world.folder, 'x.json'), '{"version":2}', { mode: 0o600 }); // of a later version: its own business
  assert.deepEqual(repair(true, place), { repairs: [], discarded: [] });
  assert.deepEqual(world.names(), ['x.json']);
});
