import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { interpreter } from '../../src/ebpf/interpreter/interpreter.js';
import type { EbpfMap } from '../../src/ebpf/maps/contract.js';
import { createMap } from '../../src/ebpf/maps/create-map.js';
import type { Btf } from '../../src/ebpf/object/btf/btf.js';
import { readBtf } from '../../src/ebpf/object/btf/read-btf.js';
import { relocateBtf } from '../../src/ebpf/object/btf/relocate-btf.js';
import type { ObjectFile, ReadObjectOptions } from '../../src/ebpf/object/contract.js';
import { readElf } from '../../src/ebpf/object/elf/read-elf.js';
import { readObject } from '../../src/ebpf/object/read-object.js';
import type { Program } from '../../src/ebpf/program.js';
import { EbpfRuns } from './ebpf-runs.js';

/** Folder of the eBPF objects that tests read, with their sources: see scripts/build-test-objects.mjs. */
export const OBJECTS = fileURLToPath(new URL('../../../test/objects/', import.meta.url));

/** Names of all of them, without `.o`. */
export function testObjects(): string[] {
  const objects = readdirSync(OBJECTS).filter((name) => name.endsWith('.o'));
  return objects.map((name) => name.slice(0, -2)).sort();
}

/** Bytes of one of them. */
export function objectBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(`${OBJECTS}${name}.o`));
}

/** One of them, read; its maps of variables begin with its name. */
export function testObject(name: string, options: ReadObjectOptions = {}): ObjectFile {
  return readObject(objectBytes(name), { name, ...options });
}

/** The types of an object that has some. */
export function objectTypes(bytes: Uint8Array): Btf {
  const object = readElf(bytes);
  return readBtf(relocateBtf(object, object.sections.find(({ name }) => name === '.BTF')!));
}

/** Runs a program of an object in the interpreter, on new maps, on a packet of 64 bytes. */
export function runOnce(program: Program): { readonly result: number; readonly maps: readonly EbpfMap[] } {
  const runs = new EbpfRuns();
  const maps = program.maps.map((definition) => createMap(runs.machine, definition));
  const { result, fault } = runs.run(interpreter.prepare({ program, maps }, runs.machine));
  if (fault !== 0) throw new Error(`${program.name} ended with fault ${fault}`);
  return { result: Number(BigInt.asIntN(32, result)), maps };
}
