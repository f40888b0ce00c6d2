// Compiles the data-moving routines (AssemblyScript) and embeds the binary in a TypeScript file, so that browsers load it too.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

const out = mkdtempSync(join(tmpdir(), 'tp4-routines-'));
try {
  const { error, stderr } = await asc.main([
    'src/arena/routines/assembly/index.ts',
    '--outFile',
    join(out, 'routines.wasm'),
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
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  const base64 = readFileSync(join(out, 'routines.wasm')).toString('base64');
  const lines = base64
    .match(/.{1,110}/g)
    .map((line) => `  '${line}'`)
    .join(' +\n');
  writeFileSync(
    'src/arena/routines/routines.generated.ts',
    `// Made by scripts/build-routines.mjs from assembly/index.ts.\nexport const ROUTINES_BASE64 =\n${lines};\n`,
  );
} finally {
  rmSync(out, { recursive: true, force: true });
}
