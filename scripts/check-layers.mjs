// The layer rules of ARCHITECTURE.md: which folder may import from which, who may import from Node, who may import packages.
// Tests beside the code may import more and are not checked.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

/** Folder of src -> folders it may import from, besides itself. The list reads from the ground up. */
const ALLOWED = {
  errors: [],
  suggestion: [],
  options: ['errors', 'suggestion'],
  packet: ['errors'],
  'capture-file': ['errors', 'options', 'packet'],
  arena: ['errors'],
  ebpf: ['errors', 'options', 'suggestion', 'arena'],
  filter: ['errors', 'suggestion', 'packet', 'ebpf'],
  steering: ['errors', 'packet', 'ebpf', 'filter'],
  kernel: ['errors', 'suggestion', 'arena', 'ebpf', 'steering'],
  'packet-buffer': ['errors', 'options', 'arena', 'kernel'],
  'packet-array': ['errors'],
  ring: ['errors', 'arena', 'kernel', 'packet', 'packet-array', 'packet-buffer'],
  socket: ['errors', 'options', 'kernel', 'packet-buffer', 'ring', 'steering'],
  wire: ['errors', 'options', 'arena', 'packet', 'capture-file'],
  nic: ['errors', 'arena', 'packet', 'steering', 'wire'],
  driver: ['errors', 'arena', 'nic', 'packet-array', 'steering'],
  'soft-kernel': [
    'errors',
    'options',
    'arena',
    'driver',
    'filter',
    'ebpf',
    'kernel',
    'nic',
    'packet',
    'packet-array',
    'packet-buffer',
    'ring',
    'steering',
    'wire',
  ],
  'linux-kernel': [
    'errors',
    'options',
    'suggestion',
    'arena',
    'ebpf',
    'filter',
    'kernel',
    'packet',
    'ring',
    'steering',
  ],
  soft: [
    'errors',
    'arena',
    'capture-file',
    'ebpf',
    'kernel',
    'nic',
    'packet',
    'packet-array',
    'packet-buffer',
    'ring',
    'socket',
    'soft-kernel',
    'steering',
    'wire',
  ],
  host: [
    'errors',
    'options',
    'suggestion',
    'arena',
    'ebpf',
    'kernel',
    'capture-file',
    'linux-kernel',
    'packet-buffer',
    'soft-kernel',
    'socket',
    'wire',
  ],
};
/** Folders that run on Node only; all others run in browsers, too. */
const NODE_ONLY = new Set(['linux-kernel', 'host', 'cli', 'bench', 'index']);
/** The packages that src may import, and the one file that may. */
const PACKAGES = { koffi: 'src/linux-kernel/system-calls.ts' };

const problems = [];
for (const name of readdirSync('src', { recursive: true })) {
  const file = join('src', String(name));
  if (!file.endsWith('.ts') || file.endsWith('.test.ts') || file.includes('assembly')) continue;
  check(file, readFileSync(file, 'utf8'));
}
for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? 'layers: ok' : `layers: ${problems.length} problem(s)`);
process.exit(problems.length === 0 ? 0 : 1);

function check(file, text) {
  const folder = folderOf(file);
  const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  for (const [, target] of code.matchAll(/(?:from\s+|import\(\s*|import\s+)['"]([^'"]+)['"]/g)) {
    if (target.startsWith('.')) {
      const to = folderOf(normalize(join(dirname(file), target)));
      const allowed = ALLOWED[folder];
      if (to !== folder && allowed !== undefined && !allowed.includes(to)) {
        problems.push(`${file}: ${folder} may not import from ${to}`);
      }
    } else if (target.startsWith('node:')) {
      if (!NODE_ONLY.has(folder)) problems.push(`${file}: ${folder} runs in browsers, too; no ${target}`);
    } else if (PACKAGES[target] !== file) {
      problems.push(`${file}: may not import the package ${target}`);
    }
  }
  const strings = code.replace(/'(?:[^'\\\n]|\\.)*'|`[^`]*`/g, "''");
  const global = NODE_ONLY.has(folder)
    ? null
    : strings.match(/(?<![.\w{?] ?)\b(Buffer|process|require|__dirname)\b\s*[.([]/);
  if (global !== null) problems.push(`${file}: ${folder} runs in browsers, too; no global ${global[1]}`);
}

function folderOf(path) {
  return relative('src', path)
    .split('/')[0]
    .replace(/\.(ts|js)$/, '');
}
