import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { encodeInstructions, type Instruction, isWide } from '../../../src/ebpf/instruction.js';
import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, type MapDefinition } from '../../../src/ebpf/maps/contract.js';
import type { Btf } from '../../../src/ebpf/object/btf/btf.js';
import { readObject } from '../../../src/ebpf/object/read-object.js';
import {
  BPF_CALL,
  BPF_JMP,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
} from '../../../src/ebpf/opcodes.js';
import type { Program } from '../../../src/ebpf/program.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { Struct } from '../../../src/linux-kernel/struct.js';
import { SystemCalls } from '../../../src/linux-kernel/system-calls.js';
import { OBJECTS, objectTypes } from '../../support/objects.js';

const BPF_BTF_LOAD = 18;
/** Objects of the tests that libbpf 1.1 takes, too. */
const OURS = ['functions', 'globals', 'maps', 'fields', 'kernel-functions'].map((name) => `${OBJECTS}${name}.o`);

/** Objects of Debian's xdp-tools, where they are installed, but for the one that has no XDP programs. */
function debianObjects(): string[] {
  const { stdout } = spawnSync('dpkg', ['-L', 'xdp-tools', 'libxdp1'], { encoding: 'utf8' });
  const paths = (stdout ?? '').split('\n').filter((path) => path.endsWith('.o') && existsSync(path));
  return paths.filter((path) => basename(path) !== 'xdpdump_bpf.o');
}

// This namespace's own: `ip netns exec` gives it its own mounts.
run('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf']);
const folder = mkdtempSync(join(tmpdir(), 'tp4-objects-'));
const paths = [...OURS, ...debianObjects()].map(withoutPinning);
after(() => rmSync(folder, { recursive: true, force: true }));

test('programs are put together as libbpf does it, instruction by instruction', () => {
  let compared = 0;
  // The loaders that it makes fill in no programs at the start.
  for (const path of paths.filter((path) => basename(path) !== 'maps.o')) {
    // A loader for the object: the programs, maps by number, kernel functions still to be found.
    const skeleton = spawnSync('bpftool', ['gen', 'skeleton', '-L', path], { encoding: 'utf8' });
    assert.equal(skeleton.status, 0, `${path}: ${skeleton.stderr}`);
    const libbpf = bytesOfStrings(skeleton.stdout);
    const { programs, maps } = read(path);
    for (const program of programs) {
      const own = Buffer.from(encodeInstructions(asLibbpf(program, maps)));
      assert.ok(libbpf.includes(own), `${path}: libbpf has other instructions for ${program.name}`);
      compared++;
    }
  }
  assert.ok(compared >= 13);
});

test('maps are those that libbpf makes', () => {
  // The kernel has not the types of `fields`, and perhaps not the functions of `kernel-functions`.
  for (const path of paths.filter((path) => !/(fields|kernel-functions)\.o$/.test(path))) {
    const pins = mkdtempSync('/sys/fs/bpf/tp4-');
    const before = new Set(mapsNow().map(({ id }) => id));
    try {
      run('bpftool', ['prog', 'loadall', path, join(pins, 'programs'), 'pinmaps', join(pins, 'maps')]);
      const made = mapsNow().filter(({ id }) => !before.has(id));
      for (const map of read(path).maps) {
        const found = made.find(({ name }) => name === map.name.slice(0, 15));
        assert.ok(found !== undefined, `${path}: ${map.name}`);
        assert.deepEqual(
          [found.type, found.bytes_key, found.bytes_value, found.flags & ~addedFlags(map), found.frozen === 1],
          [map.type, map.keySize, map.valueSize, map.flags & ~BPF_F_MMAPABLE, map.frozen === true],
          `${path}: ${map.name}`,
        );
        if (map.maxEntries > 0) assert.equal(found.max_entries, map.maxEntries, `${path}: ${map.name}`);
      }
    } finally {
      rmSync(pins, { recursive: true });
    }
  }
});

test('types are those that bpftool finds in the object', () => {
  for (const path of paths) {
    const { types } = JSON.parse(run('bpftool', ['-j', 'btf', 'dump', 'file', path])) as { types: DumpedType[] };
    const own = objectTypes(readFileSync(path));
    assert.equal(own.types.length, types.length + 1);
    for (const dumped of types) {
      const type = own.type(dumped.id);
      assert.equal(type.kind, dumped.kind.toLowerCase(), `${path}, type ${dumped.id}`);
      assert.equal(type.name === '' ? '(anon)' : type.name, dumped.name);
      if ('members' in type) {
        assert.deepEqual(
          type.members.map(({ name, type, bitOffset }) => [name === '' ? '(anon)' : name, type, bitOffset]),
          dumped.members!.map(({ name, type_id, bits_offset }) => [name, type_id, bits_offset]),
        );
      }
      if ('values' in type) {
        assert.deepEqual(
          type.values.map(({ name, value }) => [name, Number(value)]),
          dumped.values!.map(({ name, val }) => [name, val]),
        );
      }
      if (type.kind === 'int' || type.kind === 'struct' || type.kind === 'union') assert.equal(type.size, dumped.size);
    }
  }
});

test('the kernel takes the types that programs carry', async () => {
  const calls = await SystemCalls.load();
  for (const path of [...paths, `${OBJECTS}places.o`, `${OBJECTS}legacy.o`]) {
    const [program] = read(path).programs;
    const types = new Struct(program!.btf!.length);
    types.bytes.set(program!.btf!);
    const log = new Struct(65536);
    const request = new Struct(40);
    request.pointer(0, types, calls.address(types)).pointer(8, log, calls.address(log));
    request.u32(16, types.length).u32(20, log.length).u32(24, 1);
    const descriptor = calls.bpf(BPF_BTF_LOAD, request);
    const text = Buffer.from(log.bytes).toString('utf8').split('\0')[0]!;
    assert.ok(descriptor >= 0, `${path}: ${descriptor}\n${text.slice(-2000)}`);
    calls.close(descriptor);
  }
});

test('functions and lines are known in Linux as the object has them', async () => {
  const kernel = new LinuxKernel();
  try {
    for (const path of paths.filter((path) => !/(fields|kernel-functions)\.o$/.test(path))) {
      const { programs } = await kernel.loadObject(read(path));
      for (const { program, handle } of programs) {
        const [, id] = /prog_id:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${handle}`, 'utf8'))!;
        const dumped = run('bpftool', ['prog', 'dump', 'xlated', 'id', id!]);
        // A function whose type had not been taken would be there by its name, but without parameters. Some are gone: nothing calls them.
        const functions = [...dumped.matchAll(/^\S.*?(\w+)\((.*)\):$/gm)];
        assert.equal(functions[0]?.[1], program.name, path);
        for (const [text, , parameters] of functions) assert.notEqual(parameters, '', `${path}: ${text}`);
      }
    }
  } finally {
    await kernel.close();
  }
});

/** Flags that are not the object's: of devmaps the kernel says what programs may do; which data can be mapped depends on libbpf's version. */
function addedFlags({ type }: MapDefinition): number {
  return type === 'devmap' || type === 'devmap_hash' ? BPF_F_RDONLY_PROG : BPF_F_MMAPABLE;
}

interface DumpedMap {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly flags: number;
  readonly frozen: number;
  readonly bytes_key: number;
  readonly bytes_value: number;
  readonly max_entries: number;
}

interface DumpedType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly members?: { readonly name: string; readonly type_id: number; readonly bits_offset: number }[];
  readonly values?: { readonly name: string; readonly val: number }[];
}

function read(path: string) {
  return readObject(readFileSync(path), { name: basename(path).split('.')[0]! });
}

function mapsNow(): DumpedMap[] {
  return JSON.parse(run('bpftool', ['-j', 'map', 'show'])) as DumpedMap[];
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/**
 * Copies an object so that no map of it is pinned by name, which only some of libbpf's ways of loading can do: pinning is the length of an array
 * that a member points to, and no other member of these objects has that length.
 */
function withoutPinning(path: string): string {
  const bytes = new Uint8Array(readFileSync(path));
  const types = objectTypes(bytes);
  const maps = types.types.flatMap((type) => (type.kind === 'struct' ? type.members : []));
  const pinning = maps.find(({ name }) => name === 'pinning');
  const copy = join(folder, basename(path));
  if (pinning !== undefined) {
    const pointer = types.type(pinning.type);
    const array = types.type(pointer.kind === 'ptr' ? pointer.type : 0);
    assert.ok(array.kind === 'array' && array.length === 1);
    const words = Buffer.alloc(24);
    for (const [index, word] of [0, 0x03000000, 0, array.element, indexType(types), 1].entries()) {
      words.writeUInt32LE(word, index * 4);
    }
    const at = Buffer.from(bytes).indexOf(words);
    assert.ok(at > 0);
    new DataView(bytes.buffer).setUint32(at + 20, 0, true);
  }
  writeFileSync(copy, bytes);
  return copy;
}

/** Number of the type that clang gives the indices of arrays. */
function indexType(types: Btf): number {
  return types.types.find(({ name }) => name === '__ARRAY_SIZE_TYPE__')!.id;
}

/** The bytes of all string literals of a C file, one after the other. */
function bytesOfStrings(source: string): Buffer {
  const bytes: number[] = [];
  for (const [, literal] of source.matchAll(/"((?:[^"\\]|\\[\s\S])*)"/g)) {
    for (const [whole, hex] of literal!.matchAll(/\\x([0-9a-f]{2})|\\0|\\\n|[^\\]/g)) {
      if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
      else if (whole === '\\0') bytes.push(0);
      else if (whole.length === 1) bytes.push(whole.charCodeAt(0));
    }
  }
  return Buffer.from(bytes);
}

/** A program's instructions in libbpf's words: maps by their number in the object, kernel functions without one. */
function asLibbpf(program: Program, maps: readonly MapDefinition[]): Instruction[] {
  const libbpfOrder = [
    ...maps.filter(({ frozen, name }) => !frozen && !name.includes('.')),
    ...maps.filter(({ name }) => name.includes('.')),
  ];
  return program.instructions.map((read) => {
    const { opcode, source, immediate } = read;
    if (isWide(read) && (source === BPF_PSEUDO_MAP_IDX || source === BPF_PSEUDO_MAP_IDX_VALUE)) {
      return { ...read, immediate: libbpfOrder.indexOf(program.maps[immediate]!) };
    }
    if (opcode === (BPF_JMP | BPF_CALL) && source === BPF_PSEUDO_KFUNC_CALL) return { ...read, immediate: 0 };
    return read;
  });
}
