import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tp4-'));
after(() => rmSync(folder, { recursive: true }));

/** Output of a command; an error with the output when it fails. */
function run(file: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { cwd, timeout: 60_000, maxBuffer: 2 ** 24 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${error.message}\n${stdout}\n${stderr}`));
    });
  });
}

/** README's first program: what a reader copies. */
function firstProgram(): string {
  const readme = readFileSync(join(PROJECT, 'README.md'), 'utf8');
  return /## A first program\n\n```ts\n(.*?)```/s.exec(readme)![1]!;
}

/** Type-checks and compiles the folder's programs, declarations of the package included, in whatever surroundings. */
async function compile(lib: string[], types: string[]): Promise<void> {
  const compilerOptions = {
    ...{ target: 'ES2022', module: 'NodeNext', strict: true, skipLibCheck: false, outDir: 'out' },
    ...{ lib, types, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const compiler = join(PROJECT, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [compiler, '-p', folder], folder);
}

test("README's first program compiles against the package, with Node's types or with browsers', and runs", {
  timeout: 180_000,
}, async () => {
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(PROJECT, join(folder, 'node_modules/tpacket4'));
  symlinkSync(join(PROJECT, 'node_modules/@types'), join(folder, 'node_modules/@types'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'first.ts'), firstProgram());
  writeFileSync(join(folder, 'soft.ts'), firstProgram().replace("'tpacket4'", "'tpacket4/soft'"));
  await compile(['ES2022', 'DOM'], []);
  await compile(['ES2022'], ['node']);
  for (const program of ['first.js', 'soft.js']) {
    assert.match(await run(process.execPath, [join('out', program)], folder), /^6000000 bytes/m);
  }
});

test('the package has what it exports and documents, and neither tests nor peers of benches', async () => {
  const listed = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], PROJECT);
  const [{ files }] = JSON.parse(listed) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  assert.deepEqual(
    paths.filter((path) => /\.test\.|test-support|^(test|bench|examples|scripts|src|docs\/api)\/|\.c$/.test(path)),
    [],
  );
  const { exports, bin } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as {
    exports: Record<string, string>;
    bin: Record<string, string>;
  };
  for (const file of [...Object.values(exports), ...Object.values(bin)]) {
    const path = file.replace('./', '');
    assert.ok(paths.includes(path) && existsSync(join(PROJECT, path)), path);
    if (file !== bin.tp4) assert.ok(paths.includes(path.replace(/\.js$/, '.d.ts')), path);
  }
  for (const path of ['README.md', 'LICENSE', 'CHANGELOG.md', 'captures/veth-mixed.pcap']) {
    assert.ok(paths.includes(path), path);
  }
});
