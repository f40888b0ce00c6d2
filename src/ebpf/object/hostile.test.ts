import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectBytes, testObjects } from '../../../test/support/objects.js';
import { Random } from '../../../test/support/random.js';
import { PacketError } from '../../errors.js';
import { readBtf } from './btf/read-btf.js';
import { readObject } from './read-object.js';

const CODES = new Set(['PROGRAM_CORRUPT', 'PROGRAM_UNSUPPORTED']);
const MUTATIONS = 300;
/** What fields of damaged files hold, beside any number. */
const WILD = [0, 1, 7, 8, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff];

/** Reads an object that may be damaged. Returns whether it was read; throws for any error but the two that it may have. */
function isRead(bytes: Uint8Array, what: string): boolean {
  try {
    readObject(bytes);
    return true;
  } catch (error) {
    assert.ok(error instanceof PacketError && CODES.has(error.code), `${what}: ${(error as Error).stack}`);
    return false;
  }
}

/** Byte offsets and lengths of an object's section headers, and of the contents of its sections. */
function sectionPlaces(bytes: Uint8Array): { header: number; start: number; length: number; type: number }[] {
  const view = new DataView(bytes.buffer);
  const first = view.getUint32(40, true);
  return Array.from({ length: view.getUint16(60, true) }, (_, index) => {
    const header = first + index * 64;
    return {
      header,
      type: view.getUint32(header + 4, true),
      start: view.getUint32(header + 24, true),
      length: view.getUint32(header + 32, true),
    };
  });
}

test('any beginning of an object is refused, and never read as another', () => {
  for (const name of testObjects()) {
    const bytes = objectBytes(name);
    for (let length = 0; length < bytes.length; length += 13) {
      assert.equal(isRead(bytes.subarray(0, length), `${name}, ${length} bytes`), false);
    }
  }
});

test('objects with bytes changed anywhere are read or refused', () => {
  let read = 0;
  let refused = 0;
  for (const name of testObjects()) {
    for (let seed = 1; seed <= MUTATIONS; seed++) {
      const random = new Random(seed);
      const bytes = objectBytes(name).slice();
      for (let changes = random.between(1, 8); changes > 0; changes--)
        bytes[random.below(bytes.length)] = random.word();
      if (isRead(bytes, `${name}, seed ${seed}`)) read++;
      else refused++;
    }
  }
  assert.ok(read > MUTATIONS && refused > MUTATIONS, `${read} read, ${refused} refused`);
});

test('objects with wild numbers in headers, symbols, relocations, types and notes are read or refused', () => {
  let refused = 0;
  for (const name of testObjects().filter((name) => !name.includes('big-endian'))) {
    const original = objectBytes(name);
    const places = sectionPlaces(original);
    for (let seed = 1; seed <= MUTATIONS * 2; seed++) {
      const random = new Random(seed);
      const bytes = original.slice();
      const view = new DataView(bytes.buffer);
      for (let changes = random.between(1, 3); changes > 0; changes--) {
        const { header, start, length, type } = random.pick(places);
        const inHeader = random.oneIn(4) || length < 8 || type === 8;
        const words = inHeader ? 16 : length >> 2;
        const at = (inHeader ? header : start) + random.below(words) * 4;
        view.setUint32(at, random.oneIn(3) ? random.below(bytes.length) : random.pick(WILD), true);
      }
      if (!isRead(bytes, `${name}, seed ${seed}`)) refused++;
    }
  }
  assert.ok(refused > MUTATIONS, `${refused} refused`);
});

test('random bytes are refused, behind a header that is right, too', () => {
  const header = objectBytes('functions').subarray(0, 64);
  for (let seed = 1; seed <= 500; seed++) {
    const random = new Random(seed);
    const bytes = new Uint8Array(random.between(1, 4096));
    random.fill(bytes, 0, bytes.length);
    assert.equal(isRead(bytes, `seed ${seed}`), false);
    if (bytes.length <= 128) continue;
    bytes.set(header);
    new DataView(bytes.buffer).setBigUint64(40, 64n, true);
    isRead(bytes, `seed ${seed} with a header`);
  }
});

test('BTF with bytes changed anywhere is read or refused, and so are all questions about its types', () => {
  const bytes = btfSection('maps');
  for (let seed = 1; seed <= 2000; seed++) {
    const random = new Random(seed);
    const changed = bytes.slice();
    for (let changes = random.between(1, 6); changes > 0; changes--) {
      changed[random.below(changed.length)] = random.word();
    }
    let btf: ReturnType<typeof readBtf>;
    try {
      btf = readBtf(changed);
    } catch (error) {
      assert.ok(error instanceof PacketError && CODES.has(error.code), `seed ${seed}: ${(error as Error).stack}`);
      continue;
    }
    for (const { id } of btf.types) {
      for (const ask of [() => btf.resolve(id), () => btf.sizeOf(id)]) {
        try {
          ask();
        } catch (error) {
          assert.ok(error instanceof PacketError && error.code === 'PROGRAM_CORRUPT', `seed ${seed}, type ${id}`);
        }
      }
    }
  }
});

test('sections that lie in each other are refused: reading them would take more than the file has', () => {
  const bytes = objectBytes('functions').slice();
  const view = new DataView(bytes.buffer);
  for (const { header } of sectionPlaces(bytes).slice(1, 9)) {
    view.setBigUint64(header + 24, 0n, true);
    view.setBigUint64(header + 32, BigInt(bytes.length), true);
  }
  // Section names stay where they were: the damage is found by the lengths alone.
  assert.throws(() => readObject(bytes), { code: 'PROGRAM_CORRUPT', message: /overlap/ });
});

test('long chains of calls are linked without a stack', () => {
  const { bytes, functions } = chainOfCalls(20_000);
  const { subprograms } = readObject(bytes).program('f0');
  assert.equal(subprograms.length, functions);
});

test('programs that would be larger together than any program may be are refused', () => {
  const { bytes } = chainOfCalls(2_000, true);
  assert.throws(() => readObject(bytes), { code: 'PROGRAM_CORRUPT', message: /more than 1000000 instructions/ });
});

function btfSection(name: string): Uint8Array {
  const bytes = objectBytes(name);
  const magic = [0x9f, 0xeb, 1, 0];
  const { start, length } = sectionPlaces(bytes).find(({ start }) =>
    magic.every((byte, index) => bytes[start + index] === byte),
  )!;
  return bytes.slice(start, start + length);
}

/** An object whose functions f0, f1, ... each call the next one. The first is a program, or all are. */
function chainOfCalls(functions: number, areAllPrograms = false): { bytes: Uint8Array; functions: number } {
  let names = '\0xdp\0.symtab\0.strtab\0';
  const nameOffsets = Array.from({ length: functions }, (_, index) => {
    const offset = names.length;
    names += `f${index}\0`;
    return offset;
  });
  const slots = 2;
  const code = new Uint8Array(functions * slots * 8);
  const words = new DataView(code.buffer);
  for (let index = 0; index < functions; index++) {
    const at = index * slots * 8;
    const isLast = index === functions - 1;
    // call, to the slot behind the exit; exit
    words.setUint16(at, isLast ? 0xb7 : 0x1085, true);
    words.setInt32(at + 4, isLast ? 0 : 1, true);
    words.setUint16(at + 8, 0x95, true);
  }
  const symbols = new Uint8Array((functions + 1) * 24);
  const symbolWords = new DataView(symbols.buffer);
  for (let index = 0; index < functions; index++) {
    const at = (index + 1) * 24;
    symbolWords.setUint32(at, nameOffsets[index]!, true);
    symbols[at + 4] = index === 0 || areAllPrograms ? 0x12 : 0x02;
    symbolWords.setUint16(at + 6, 1, true);
    symbolWords.setUint32(at + 8, index * slots * 8, true);
    symbolWords.setUint32(at + 16, slots * 8, true);
  }
  const strings = new TextEncoder().encode(names);
  const parts = [code, symbols, strings];
  const header = new Uint8Array(64 + 4 * 64);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0x464c457f, true);
  header.set([2, 1, 1], 4);
  view.setUint16(16, 1, true);
  view.setUint16(18, 247, true);
  view.setUint32(40, 64, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 4, true);
  view.setUint16(62, 3, true);
  let start = header.length;
  const kinds = [
    { name: 'xdp', type: 1, flags: 6, link: 0 },
    { name: '.symtab', type: 2, flags: 0, link: 3 },
    { name: '.strtab', type: 3, flags: 0, link: 0 },
  ];
  for (const [index, { name, type, flags, link }] of kinds.entries()) {
    const at = 64 + (index + 1) * 64;
    view.setUint32(at, names.indexOf(`\0${name}\0`) + 1, true);
    view.setUint32(at + 4, type, true);
    view.setUint32(at + 8, flags, true);
    view.setUint32(at + 24, start, true);
    view.setUint32(at + 32, parts[index]!.length, true);
    view.setUint32(at + 40, link, true);
    start += parts[index]!.length;
  }
  const bytes = new Uint8Array(start);
  let at = 0;
  for (const part of [header, ...parts]) {
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, functions };
}
