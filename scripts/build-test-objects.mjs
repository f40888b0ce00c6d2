// Builds the eBPF objects that tests read, test/objects/*.o, from the C sources beside them: `node scripts/build-test-objects.mjs [FOLDER]`.
// Needs clang with the eBPF target, llvm-strip and libbpf's headers. DWARF is stripped, BTF stays.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('../test/objects/', import.meta.url));
/** Objects that are made in another way from a source of another name. */
const VARIANTS = [
  { source: 'functions', object: 'functions-without-btf', flags: [], target: 'bpf' },
  { source: 'traffic', object: 'traffic-reports', flags: ['-g', '-DREPORTS'], target: 'bpf' },
  { source: 'functions', object: 'functions-big-endian', flags: ['-g'], target: 'bpfeb' },
];

const folder = process.argv[2] ?? SOURCES;
const plain = readdirSync(SOURCES)
  .filter((name) => name.endsWith('.c'))
  .map((name) => ({ source: basename(name, '.c'), object: basename(name, '.c'), flags: ['-g'], target: 'bpf' }));
for (const { source, object, flags, target } of [...plain, ...VARIANTS]) {
  const to = join(folder, `${object}.o`);
  const includes = ['-idirafter', `/usr/include/${machine()}`];
  // BTF shall have the bare names of the sources, wherever they are.
  const names = `-fdebug-prefix-map=${SOURCES.replace(/\/$/, '')}=.`;
  const common = ['-target', target, '-mcpu=v3', '-O2', '-Wall', names, ...includes];
  run('clang', [...common, ...flags, '-c', `${source}.c`, '-o', to]);
  if (target === 'bpf') run('llvm-strip', ['-g', to]);
}

/** Folder of the C library's headers for this machine, which linux/types.h needs. */
function machine() {
  const { stdout } = spawnSync('clang', ['-print-multiarch'], { encoding: 'utf8' });
  return stdout?.trim() || `${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch}-linux-gnu`;
}

function run(command, args) {
  const { status, error, stderr } = spawnSync(command, args, { cwd: SOURCES, encoding: 'utf8' });
  if (status === 0) return;
  console.error(error === undefined ? `${command} ${args.join(' ')}\n${stderr}` : `${command}: ${error.message}`);
  process.exit(1);
}
