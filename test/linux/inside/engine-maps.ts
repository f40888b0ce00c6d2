import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { MapContents, MapDefinition, MapType } from '../../../src/ebpf/maps/contract.js';
import { createMap } from '../../../src/ebpf/maps/create-map.js';
import { PacketError } from '../../../src/errors.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { countPossibleCpus } from '../../../src/linux-kernel/programs/possible-cpus.js';
import { EbpfRuns } from '../../support/ebpf-runs.js';
import { Random } from '../../support/random.js';
import { mapOf } from '../../support/xdp-programs.js';

const STEPS = 600;
const ENTRIES = 6;
const kernel = new LinuxKernel();
after(() => kernel.close());

/** What a type is like, and where Linux says less than this engine: deleting succeeds there whether or not there is an entry. */
interface Kind {
  readonly parts?: Partial<MapDefinition>;
  readonly deletesAlways?: boolean;
}
const KINDS: Partial<Record<MapType, Kind>> = {
  hash: {},
  array: {},
  percpu_hash: {},
  percpu_array: {},
  lpm_trie: { parts: { keySize: 6, flags: 1 } },
  queue: { parts: { keySize: 0 } },
  stack: { parts: { keySize: 0 } },
  devmap: { parts: { valueSize: 4 }, deletesAlways: true },
  cpumap: { parts: { valueSize: 4 }, deletesAlways: true },
};

/** A key among few, some of which cannot be. */
function anyKey(random: Random, type: MapType, bytes: number): Uint8Array {
  const key = new Uint8Array(bytes);
  if (type === 'lpm_trie') key.set([random.below(19), 0, 0, 0, random.pick([0, 1, 128]), random.pick([0, 1, 128])]);
  else if (type === 'cpumap')
    key[0] = random.pick([0, ENTRIES, 255]); // CPU 0 is always there
  else if (bytes > 0) key[0] = random.below(ENTRIES + 2);
  return key;
}

/** In devmap and cpumap nothing, interface 1 (loopback), or a queue of 1. */
function anyValue(random: Random, type: MapType, bytes: number): Uint8Array {
  const value = new Uint8Array(bytes);
  if (type === 'devmap' || type === 'cpumap') value[0] = random.below(2);
  else random.fill(value, 0, bytes);
  return value;
}

/** What an operation returns, or the code of what it throws. */
function outcome(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    assert.ok(error instanceof PacketError, String(error));
    return error.code;
  }
}

/** Entries in any order. Linux keeps what stands behind a prefix in the key that it was given; here that is zero. */
function contents(map: MapContents): string[] {
  const isTrie = map.definition.type === 'lpm_trie';
  const shown = (key: Uint8Array) =>
    [...key].map((byte, index) => (isTrie && index > 3 ? kept(byte, key[0]!, index) : byte));
  return [...map.entries()].map(([key, value]) => `${shown(key)}: ${[...value]}`).sort();
}

/** A byte of a trie's key, with the bits of its prefix only. */
function kept(byte: number, length: number, index: number): number {
  return byte & (0xff00 >> Math.min(Math.max(length - 8 * (index - 4), 0), 8)) & 0xff;
}

for (const [name, { parts, deletesAlways = false }] of Object.entries(KINDS)) {
  const type = name as MapType;
  test(`a map of type ${type} does the same as in Linux, operation by operation`, async () => {
    const random = new Random(21);
    const cpus = countPossibleCpus();
    const definition = mapOf(type, `tp4_${type}`, ENTRIES, parts);
    const ours = createMap(new EbpfRuns({ cpus }).machine, definition);
    const object = await kernel.loadObject({ programs: [], maps: [definition] });
    try {
      const theirs = object.maps.get(definition.name)!;
      const valueBytes = type.startsWith('percpu') ? 8 * cpus : definition.valueSize;
      for (let step = 0; step < STEPS; step++) {
        const key = anyKey(random, type, definition.keySize);
        const value = anyValue(random, type, valueBytes);
        const flags = random.below(3);
        const kind = random.pick(['update', 'update', 'delete', 'lookup'] as const);
        const act = (map: MapContents): unknown => {
          if (kind === 'lookup') return map.lookup(key);
          if (kind === 'update') return map.update(key, value, flags);
          const isGone = map.delete(key);
          return deletesAlways || isGone;
        };
        const text = `step ${step}: ${kind} ${[...key]} ${[...value]} flags ${flags}`;
        assert.deepEqual(
          outcome(() => act(ours)),
          outcome(() => act(theirs)),
          text,
        );
      }
      if (definition.keySize > 0) assert.deepEqual(contents(ours), contents(theirs));
    } finally {
      object.close();
    }
  });
}

test('sizes and flags that Linux refuses are refused, and the others taken', async () => {
  const { machine } = new EbpfRuns();
  const takenByLinux = async (definition: MapDefinition): Promise<boolean> => {
    try {
      (await kernel.loadObject({ programs: [], maps: [definition] })).close();
      return true;
    } catch {
      return false;
    }
  };
  const changes: Partial<MapDefinition>[] = [
    { keySize: 0 },
    { keySize: 6 },
    { valueSize: 0 },
    { valueSize: 6 },
    { maxEntries: 0 },
  ];
  for (let bit = 0; bit < 13; bit++) changes.push({ flags: 1 << bit });
  for (const [name, { parts }] of Object.entries(KINDS)) {
    for (const change of changes) {
      const definition = mapOf(name as MapType, 'tp4_sizes', 4, { ...parts, ...change });
      const taken = outcome(() => createMap(machine, definition).close()) === undefined;
      assert.equal(taken, await takenByLinux(definition), `${name} ${JSON.stringify(change)}`);
    }
  }
});
