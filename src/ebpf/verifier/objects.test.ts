import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { testObject } from '../../../test/support/objects.js';
import { VERIFIED_HELPERS } from '../../../test/support/verified-helpers.js';
import { readObject } from '../object/read-object.js';
import { verify } from './verify.js';

/** Paths of the objects of Debian's xdp-tools; empty where they are not installed. */
function installedObjects(): string[] {
  const { stdout } = spawnSync('dpkg', ['-L', 'xdp-tools', 'libxdp1'], { encoding: 'utf8' });
  return (stdout ?? '').split('\n').filter((path) => path.endsWith('.o') && existsSync(path));
}

const paths = installedObjects();

test("all XDP programs of Debian's xdp-tools are accepted", { skip: paths.length === 0 && 'needs xdp-tools' }, () => {
  let accepted = 0;
  for (const path of paths) {
    for (const program of readObject(readFileSync(path), { name: 'object' }).programs) {
      const { followed } = verify(program, { helpers: VERIFIED_HELPERS });
      assert.ok(followed < 200_000, `${path}: ${followed} instructions of ${program.name} were followed`);
      accepted++;
    }
  }
  assert.ok(accepted >= paths.length - 1, `${accepted} programs of ${paths.length} objects, one of which has none`);
});

test('programs of objects as clang makes them are accepted, with their functions and variables', () => {
  for (const name of ['functions', 'functions-without-btf', 'globals', 'fields', 'legacy', 'pinned', 'places']) {
    const { programs } = testObject(name);
    assert.ok(programs.length > 0, name);
    for (const program of programs) assert.ok(verify(program, { helpers: VERIFIED_HELPERS }).followed > 0, name);
  }
});
