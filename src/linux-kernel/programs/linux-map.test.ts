import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapOf, number, word } from '../../../test/support/xdp-programs.js';
import {
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_GET_NEXT_KEY,
  BPF_MAP_LOOKUP_BATCH,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_UPDATE_BATCH,
  BPF_MAP_UPDATE_ELEM,
  ENOENT,
  ENOSPC,
  ENOTSUPP,
} from '../constants.js';
import type { Struct } from '../struct.js';
import type { SystemCalls } from '../system-calls.js';
import { LinuxMap } from './linux-map.js';

/** bpf(2) with one map of small numbers, kept in the order in which they came. */
class StandIn {
  readonly entries = new Map<number, number>();
  readonly commands: number[] = [];
  closed = 0;
  /** Entries that belong together in a batch; 0 where there are no batches. */
  bucket = 0;
  readonly #memory = new Map<bigint, Struct>();

  address(struct: Struct): bigint {
    const address = BigInt(this.#memory.size + 1) * 4096n;
    this.#memory.set(address, struct);
    return address;
  }

  close(): number {
    return ++this.closed;
  }

  bpf(command: number, request: Struct): number {
    this.commands.push(command);
    const at = (offset: number): Struct | undefined => this.#memory.get(BigInt(request.readU64(offset)));
    switch (command) {
      case BPF_MAP_LOOKUP_ELEM: {
        const value = this.entries.get(at(8)!.readU32(0));
        if (value === undefined) return -ENOENT;
        at(16)!.u64(0, value);
        return 0;
      }
      case BPF_MAP_UPDATE_ELEM:
        this.entries.set(at(8)!.readU32(0), at(16)!.readU64(0));
        return 0;
      case BPF_MAP_DELETE_ELEM:
        return this.entries.delete(at(8)!.readU32(0)) ? 0 : -ENOENT;
      case BPF_MAP_GET_NEXT_KEY: {
        const keys = [...this.entries.keys()];
        const next = keys[keys.indexOf(at(8)?.readU32(0) ?? -1) + 1]; // an unknown key: from the start
        if (next === undefined) return -ENOENT;
        at(16)!.u32(0, next);
        return 0;
      }
      case BPF_MAP_LOOKUP_BATCH:
        return this.bucket === 0 ? -ENOTSUPP : this.#lookupBatch(request, at);
      case BPF_MAP_UPDATE_BATCH:
        if (this.bucket === 0) return -ENOTSUPP;
        for (let i = 0; i < request.readU32(32); i++) this.entries.set(at(16)!.readU32(4 * i), at(24)!.readU64(8 * i));
        return 0;
      default:
        throw new Error(`command ${command}`);
    }
  }

  #lookupBatch(request: Struct, at: (offset: number) => Struct | undefined): number {
    const from = at(0)?.readU32(0) ?? 0;
    if (request.readU32(32) < this.bucket) return -ENOSPC;
    const part = [...this.entries].slice(from, from + this.bucket);
    for (const [i, [key, value]] of part.entries()) {
      at(16)!.u32(4 * i, key);
      at(24)!.u64(8 * i, value);
    }
    request.u32(32, part.length);
    at(8)!.u32(0, from + part.length);
    return from + part.length >= this.entries.size ? -ENOENT : 0;
  }
}

const DESCRIPTOR = 7;
const open = (kernel: StandIn): LinuxMap =>
  new LinuxMap(kernel as unknown as SystemCalls, mapOf('hash', 'stand_in', 10_000), DESCRIPTOR);
const doubleWords = (count: number) =>
  Array.from({ length: count }, (_, i) => [word(i), Uint8Array.of(i & 0xff, i >> 8, 0, 0, 0, 0, 0, 0)] as const);

test('a kernel without batches is asked one by one, and not for batches again', () => {
  const kernel = new StandIn();
  const map = open(kernel);
  map.updateAll(doubleWords(3000));
  assert.equal(kernel.entries.size, 3000);
  assert.equal(kernel.commands.filter((command) => command === BPF_MAP_UPDATE_BATCH).length, 1);
  const read = [...map.entries()];
  assert.equal(read.length, 3000);
  assert.ok(read.every(([key, value]) => key[0] === value[0] && key[1] === value[1]));
});

test('entries that are removed during a walk do not bring others twice', () => {
  const kernel = new StandIn();
  const map = open(kernel);
  map.updateAll(doubleWords(100));
  const seen: number[] = [];
  for (const [key] of map.entries()) {
    const index = new DataView(key.buffer).getUint32(0, true);
    seen.push(index);
    if (index === 50) map.delete(key); // the kernel begins anew
  }
  assert.deepEqual(new Set(seen).size, seen.length);
  assert.equal(seen.length, 100);
});

test('batches grow with what belongs together', () => {
  const kernel = new StandIn();
  kernel.bucket = 3000;
  const map = open(kernel);
  map.updateAll(doubleWords(7000));
  assert.equal(kernel.commands.filter((command) => command === BPF_MAP_UPDATE_ELEM).length, 0);
  const read = [...map.entries()].map(([, value]) => number(value));
  assert.deepEqual(read, [...Array(7000).keys()]);
  assert.ok(!kernel.commands.includes(BPF_MAP_GET_NEXT_KEY));
});

test('a closed map closes its descriptor once, and is not used any more', () => {
  const kernel = new StandIn();
  const map = open(kernel);
  assert.equal(map.handle, DESCRIPTOR);
  map.close();
  map.close();
  assert.equal(kernel.closed, 1);
  const closed = { code: 'WRONG_STATE', message: /map stand_in is closed/ };
  for (const use of [
    () => map.lookup(word(1)),
    () => map.delete(word(1)),
    () => [...map.entries()],
    () => map.handle,
  ]) {
    assert.throws(use, closed);
  }
  assert.equal(kernel.commands.length, 0);
});
