import { checkPowerOfTwo, PacketError } from '../errors.js';
import type { RingMap, RingRequest, SocketMaps } from '../kernel/contract.js';
import {
  SOL_XDP,
  XDP_MAX_TX_SKB_BUDGET,
  XDP_MMAP_OFFSETS,
  XDP_PGOFF_RX_RING,
  XDP_PGOFF_TX_RING,
  XDP_RX_RING,
  XDP_TX_RING,
  XDP_UMEM_COMPLETION_RING,
  XDP_UMEM_FILL_RING,
  XDP_UMEM_PGOFF_COMPLETION_RING,
  XDP_UMEM_PGOFF_FILL_RING,
} from './constants.js';
import { type RingMapping, ringBytes } from './ring-mapping.js';
import { Struct } from './struct.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

/** Entries of a ring at most: far from what the kernel's arithmetic and an arena can hold. */
const MOST_ENTRIES = 2 ** 20;
/** Bytes of an entry (linux/if_xdp.h): struct xdp_desc; a 64-bit address. */
const DESCRIPTOR_BYTES = 16;
const ADDRESS_BYTES = 8;
/** The kernel's least budget for one sendto in copy mode (TX_BATCH_SIZE). */
const LEAST_SEND_BUDGET = 32;

/** Entries of a socket's rings; 0 for none. There are always a fill and a completion ring. */
export interface XdpRingEntries {
  readonly receive: number;
  readonly transmit: number;
  readonly fill: number;
  readonly completion: number;
}

/** An index ring in the arena. */
export type IndexRingMap = Required<Omit<RingMap, 'blockBytes'>>;

/** Where the rings of an AF_XDP socket lie. */
export interface XdpMaps extends SocketMaps {
  readonly receive?: IndexRingMap;
  readonly transmit?: IndexRingMap;
  readonly fill: IndexRingMap;
  readonly completion: IndexRingMap;
}

/**
 * Makes a socket's rings. The kernel binds nothing without a fill and a completion ring: where the request has none, they are
 * as long as the ring for receiving or sending.
 *
 * @throws PacketError INVALID_OPTION, SYSTEM_CALL
 */
export function createRings(calls: SystemCalls, descriptor: number, request: RingRequest): XdpRingEntries {
  const receive = checkEntries('receive', request.receive);
  const transmit = checkEntries('transmit', request.transmit);
  if (receive === 0 && transmit === 0) {
    throw new PacketError(
      'INVALID_OPTION',
      'receive, transmit: both are 0, and a socket has at least one ring of the two',
      { remedy: 'ask for entries of one of them' },
    );
  }
  const fill = checkEntries('fill', request.fill ?? 0) || receive || transmit;
  const completion = checkEntries('completion', request.completion ?? 0) || transmit || receive;
  const create = (option: number, name: string, entries: number): void => {
    const result = calls.setsockoptU32(descriptor, SOL_XDP, option, entries);
    if (result < 0) throw systemCallError(`setsockopt ${name}`, -result, `make a ring of ${entries} entries`);
  };
  if (receive > 0) create(XDP_RX_RING, 'XDP_RX_RING', receive);
  if (transmit > 0) create(XDP_TX_RING, 'XDP_TX_RING', transmit);
  create(XDP_UMEM_FILL_RING, 'XDP_UMEM_FILL_RING', fill);
  create(XDP_UMEM_COMPLETION_RING, 'XDP_UMEM_COMPLETION_RING', completion);
  // One sendto for a whole ring instead of one for 32 packets (F1). Kernels before 6.17 know no such option.
  if (transmit >= LEAST_SEND_BUDGET) calls.setsockoptU32(descriptor, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, transmit);
  return { receive, transmit, fill, completion };
}

function checkEntries(option: string, value: number): number {
  return value === 0 ? 0 : checkPowerOfTwo(option, value, 1, MOST_ENTRIES);
}

/**
 * Maps a socket's rings into the arena.
 *
 * @param mapping owns what is mapped, also after a failure
 * @throws PacketError ARENA_EXHAUSTED, MODE_UNSUPPORTED, SYSTEM_CALL
 */
export function mapRings(
  calls: SystemCalls,
  descriptor: number,
  mapping: RingMapping,
  entries: XdpRingEntries,
): XdpMaps {
  // struct xdp_mmap_offsets: for RX, TX, fill and completion the producer, the consumer, the descriptors and the flags
  const offsets = new Struct(4 * 4 * 8);
  const result = calls.getsockopt(descriptor, SOL_XDP, XDP_MMAP_OFFSETS, offsets);
  if (result < 0) throw systemCallError('getsockopt XDP_MMAP_OFFSETS', -result, 'map the rings');
  if (result < offsets.length) {
    throw new PacketError('MODE_UNSUPPORTED', 'the AF_XDP rings of this kernel have no wake-up flags', {
      syscall: 'getsockopt XDP_MMAP_OFFSETS',
      remedy: 'a kernel from 5.10',
    });
  }
  const mapRing = (
    ring: number,
    page: number,
    count: number,
    entryBytes: number,
    what: string,
  ): { map: IndexRingMap; flags: number } => {
    const at = (field: number): number => offsets.readU64(ring * 32 + field * 8);
    const base = mapping.map(descriptor, page, ringBytes(at(2), count, entryBytes), what);
    return {
      map: { base: base + at(2), entries: count, entryBytes, producer: base + at(0), consumer: base + at(1) },
      flags: base + at(3),
    };
  };
  const { receive, transmit, fill, completion } = entries;
  const rx = receive > 0 ? mapRing(0, XDP_PGOFF_RX_RING, receive, DESCRIPTOR_BYTES, 'the RX ring') : undefined;
  const tx = transmit > 0 ? mapRing(1, XDP_PGOFF_TX_RING, transmit, DESCRIPTOR_BYTES, 'the TX ring') : undefined;
  const fr = mapRing(2, XDP_UMEM_PGOFF_FILL_RING, fill, ADDRESS_BYTES, 'the fill ring');
  const cr = mapRing(3, XDP_UMEM_PGOFF_COMPLETION_RING, completion, ADDRESS_BYTES, 'the completion ring');
  return {
    ...(rx === undefined ? {} : { receive: rx.map }),
    ...(tx === undefined ? {} : { transmit: tx.map }),
    fill: fr.map,
    completion: cr.map,
    // Without a ring there is nothing to wake: offset 0 is in the arena's first page, which is never given out and reads zero.
    wakeReceive: rx === undefined ? 0 : fr.flags,
    wakeTransmit: tx === undefined ? 0 : tx.flags,
  };
}
