// The V4 descriptor (I4, RFC): 16 bytes, four to a cache line, little-endian.
//
//   word 0: index of the frame in the packet buffer
//   word 1: bytes of the packet (or part of it)
//   word 2: offset of the data in the frame (bits 0-15; I6: metadata and headroom lie in front) | error (16-23) | flags (24-31)
//   word 3: padding; in the first descriptor of a batch we note how many it has (0, as others write it, means 1)
//
// Flag bit 7 says that the kernel owns the descriptor: as the sign of word 2 it is one comparison. Bit 0 of the flags says
// that the packet continues in the next descriptor.
//
// Order between the two sides (DESIGN, JavaScript memory model): whoever hands a batch over writes all its descriptors plainly
// and the first one's word 2 last, with one atomic store. Whoever takes it reads that word with an atomic load, which orders the
// whole batch; with the count in word 3 it need not do so for every descriptor. (`Atomics.load` costs 8.5 ns in Node 20, where
// the optimising compiler does not inline it, against 1 ns for a plain read: 64 of them would be half the cost of a batch.)

export const DESCRIPTOR_BYTES = 16;
/** Word 2: the kernel owns this descriptor. */
export const KERNEL_OWNED = 1 << 31;
/** Word 2: where the flags, the error and the offset are. */
export const FLAGS_SHIFT = 24;
export const ERROR_SHIFT = 16;
export const ERROR_MASK = 0xff;
export const OFFSET_MASK = 0xffff;
/** Word 2: the packet continues in the next descriptor. */
export const CONTINUES_BIT = 1 << FLAGS_SHIFT;
