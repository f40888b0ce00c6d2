// Compiles what is written in AssemblyScript and embeds each binary in a TypeScript file, so that browsers load it too.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

// Folder with `assembly/index.ts`, and the file that is made in it.
const MODULES = [
  ['src/arena/routines', 'routines.generated.ts', 'ROUTINES_BASE64'],
  ['src/bench/rings', 'descriptor-runs.generated.ts', 'DESCRIPTOR_RUNS_BASE64'],
];

const out = mkdtempSync(join(tmpdir(), 'tp4-routines-'));
try {
  for (const [folder, file, name] of MODULES) await build(folder, file, name);
} finally {
  rmSync(out, { recursive: true, force: true });
}

async function build(folder, file, name) {
  const binary = join(out, `${name}.wasm`);
  const { error, stderr } = await asc.main([
    `${folder}/assembly/index.ts`,
    '--outFile',
    binary,
    '--runtime',
    'stub',
    '--noAssert',
    '--optimizeLevel',
    '3',
    '--shrinkLevel',
    '0',
    '--converge',
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '1',
    '--maximumMemory',
    '32768',
    '--memoryBase',
    '0',
    '--enable',
    'simd',
    '--enable',
    'threads',
    '--enable',
    'bulk-memory',
  ]);
  if (error) throw new Error(`${folder}: ${error.message}\n${stderr.toString()}`);
  const base64 = readFileSync(binary).toString('base64');
  const lines = base64
    .match(/.{1,110}/g)
    .map((line) => `  '${line}'`)
    .join(' +\n');
  writeFileSync(
    `${folder}/${file}`,
    `// Made by scripts/build-routines.mjs from assembly/index.ts.\nexport const ${name} =\n${lines};\n`,
  );
}
