// The inner loops of ../minimal-loops.ts in AssemblyScript, where no index is checked and a descriptor is one vector. All
// addresses are byte offsets into the arena, multiples of 16. A run lies within the ring: it does not cross its end.

const LENGTH: i32 = 60;
const OFFSET: i32 = 256;
const OWNED: i32 = 0x80000000;

/** Writes descriptors `position` to `position + count`. Word 3 means something in the first descriptor of a batch only, which is not among them. */
export function writeRun(at: usize, count: i32, position: i32): void {
  const end: usize = at + (<usize>count << 4);
  let descriptor = i32x4(position, LENGTH, OFFSET, 0);
  const next = i32x4(1, 0, 0, 0);
  for (; at < end; at += 16) {
    v128.store(at, descriptor);
    descriptor = i32x4.add(descriptor, next);
  }
}

/** Reads descriptors. Returns the sum of their first three words. */
export function readRun(at: usize, count: i32): i32 {
  const end: usize = at + (<usize>count << 4);
  let sum = i32x4(0, 0, 0, 0);
  for (; at < end; at += 16) sum = i32x4.add(sum, v128.load(at));
  return i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2);
}

/** The same, and makes them the kernel's. */
export function takeRun(at: usize, count: i32): i32 {
  const end: usize = at + (<usize>count << 4);
  let sum = i32x4(0, 0, 0, 0);
  for (; at < end; at += 16) {
    sum = i32x4.add(sum, v128.load(at));
    store<i32>(at, OWNED, 8);
  }
  return i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2);
}
