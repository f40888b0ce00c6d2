import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OBJECTS, runOnce, testObject, testObjects } from '../../../test/support/objects.js';
import type { ObjectFile } from './contract.js';
import { readObject } from './read-object.js';

const SCRIPT = fileURLToPath(new URL('../../../../scripts/build-test-objects.mjs', import.meta.url));
/** Programs that the interpreter can run on its own maps. */
const RUNNABLE = [
  ['functions', 'length_times_ten'],
  ['functions', 'length_times_two'],
  ['functions-without-btf', 'length_times_ten'],
  ['globals', 'sum_of_variables'],
  ['fields', 'read_fields'],
  ['legacy', 'counted'],
] as const;

/** Why this machine cannot compile the objects, or false. */
function reasonToSkip(): string | false {
  for (const command of ['clang', 'llvm-strip']) {
    if (spawnSync(command, ['--version']).error !== undefined) return `needs ${command}`;
  }
  const header = spawnSync('clang', ['-target', 'bpf', '-E', '-'], { input: '#include <bpf/bpf_helpers.h>\n' });
  return /bpf_helpers.h/.test(String(header.stderr)) ? "needs libbpf's headers" : false;
}

/** What of an object does not depend on the compiler's version. */
function meaning(object: ObjectFile) {
  return {
    license: object.license,
    others: object.otherPrograms,
    programs: object.programs.map(({ name, place, segments }) => ({ name, place, segments })).sort(byName),
    // Compilers place variables, and constants of their own, as they like.
    maps: object.maps
      .filter(({ name }) => !name.startsWith('.rodata.cst'))
      .map(({ initialValue, ...map }) => map)
      .sort(byName),
  };
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

test('the objects that tests read are what their sources compile to', { skip: reasonToSkip() }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tp4-objects-'));
  try {
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, folder], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const rebuilt = (name: string) => readObject(readFileSync(join(folder, `${name}.o`)), { name });
    let compared = 0;
    for (const name of testObjects()) {
      const before = outcome(() => meaning(testObject(name)));
      assert.deepEqual(
        outcome(() => meaning(rebuilt(name))),
        before,
        `${OBJECTS}${name}.o`,
      );
      compared++;
    }
    assert.ok(compared >= RUNNABLE.length);
    for (const [name, program] of RUNNABLE) {
      assert.equal(runOnce(rebuilt(name).program(program)).result, runOnce(testObject(name).program(program)).result);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** What a reading has given, or why it was refused. */
function outcome(read: () => object): object | string {
  try {
    return read();
  } catch (error) {
    return (error as Error & { code: string }).code;
  }
}
