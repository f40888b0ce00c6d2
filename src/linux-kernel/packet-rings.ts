import { type Arena, PAGE_BYTES } from '../arena/arena.js';
import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import type { PacketVersion, RingMap, RingRequest } from '../kernel/contract.js';
import { tpacketAlign } from '../ring/v2/layout.js';
import { VLAN_TAG_BYTES } from '../ring/v2/link-address.js';
import {
  ENOMEM,
  PACKET_LOSS,
  PACKET_RESERVE,
  PACKET_RX_RING,
  PACKET_TX_RING,
  PACKET_VERSION,
  SO_SNDBUFFORCE,
  SOL_PACKET,
  SOL_SOCKET,
  TPACKET_V2,
  TPACKET_V3,
} from './constants.js';
import type { RingMapping } from './ring-mapping.js';
import { Struct } from './struct.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

/** The packet versions of AF_PACKET sockets on Linux. */
export type RingVersion = Extract<PacketVersion, 'v2' | 'v3'>;

/** Frames or blocks of a ring at most: far from what the kernel's arithmetic and an arena can hold. */
const MOST_ENTRIES = 2 ** 20;
const LARGEST_FRAME_BYTES = 65536;
const LARGEST_BLOCK_BYTES = 2 ** 26;
const LONGEST_RETIRE_MILLISECONDS = 3_600_000;
/** The send buffer counts a packet with the kernel's own structures for it; this is room for both, doubled by the kernel. */
const SEND_BUFFER_BYTES_PER_PACKET = 4096;

/** One ring as the kernel made it. */
export interface PacketRing {
  /** V3's receive ring: blocks. All others: frames. */
  readonly entries: number;
  readonly entryBytes: number;
  readonly blockBytes: number;
}

/** A socket's rings; both lie in one mapping, that for receiving first. */
export interface PacketRings {
  readonly receive: PacketRing | undefined;
  readonly transmit: PacketRing | undefined;
  /** Bytes that the kernel keeps free in front of each received packet, beyond the gap that it always leaves. */
  readonly reserved: number;
}

/**
 * Makes a socket's rings. Where frames do not fill a block of the kernel, there are as many more as do.
 *
 * @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED, SYSTEM_CALL
 */
export function createRings(
  calls: SystemCalls,
  arena: Arena,
  descriptor: number,
  version: RingVersion,
  request: RingRequest,
): PacketRings {
  const frameSize = checkPowerOfTwo('frameSize', request.frameSize ?? 2048, 128, LARGEST_FRAME_BYTES);
  const leastBlock = Math.max(PAGE_BYTES, frameSize);
  const blockSize = checkPowerOfTwo('blockSize', request.blockSize ?? leastBlock, leastBlock, LARGEST_BLOCK_BYTES);
  const headroom = checkInteger('headroom', request.headroom ?? 0, 0, frameSize);
  // Room for the tag as well, which goes back in front of the packet; rounded up, so that payloads stay where they were aligned.
  const reserved = tpacketAlign(headroom + VLAN_TAG_BYTES);
  const receive =
    version === 'v3'
      ? blocksOf('receive', request.receive, blockSize)
      : framesOf('receive', request.receive, frameSize, blockSize);
  const transmit = framesOf('transmit', request.transmit, frameSize, version === 'v3' ? leastBlock : blockSize);
  if (receive === undefined && transmit === undefined) {
    throw new PacketError(
      'INVALID_OPTION',
      'receive, transmit: both are 0, and a socket has at least one ring of the two',
      { remedy: 'ask for entries of one of them' },
    );
  }
  const retire = checkInteger('retireMilliseconds', request.retireMilliseconds ?? 0, 0, LONGEST_RETIRE_MILLISECONDS);
  expectRoom(arena, bytesOf(receive) + bytesOf(transmit)); // the kernel would set the memory aside before that is found out
  const set = (option: number, name: string, value: number): void => {
    const result = calls.setsockoptU32(descriptor, SOL_PACKET, option, value);
    if (result < 0) throw systemCallError(`setsockopt ${name}`, -result, `set ${name} to ${value}`);
  };
  // All three are refused once there is a ring.
  set(PACKET_VERSION, 'PACKET_VERSION', version === 'v3' ? TPACKET_V3 : TPACKET_V2);
  set(PACKET_LOSS, 'PACKET_LOSS', 1);
  set(PACKET_RESERVE, 'PACKET_RESERVE', reserved);
  const create = (option: number, name: string, ring: PacketRing, retireMilliseconds: number): void => {
    const result = calls.setsockopt(
      descriptor,
      SOL_PACKET,
      option,
      ringStructure(version, ring, frameSize, retireMilliseconds),
    );
    if (result >= 0) return;
    throw systemCallError(`setsockopt ${name}`, -result, `make a ring of ${bytesOf(ring)} bytes`, {
      [ENOMEM]: {
        code: 'SYSTEM_CALL',
        why: 'the kernel has no memory for it',
        remedy: 'shorter rings, smaller blocks',
      },
    });
  };
  if (receive !== undefined) create(PACKET_RX_RING, 'PACKET_RX_RING', receive, retire);
  if (transmit !== undefined) {
    create(PACKET_TX_RING, 'PACKET_TX_RING', transmit, 0);
    // So that the ring is what limits packets on their way, not the send buffer. Without the privilege the latter stays as it is.
    calls.setsockoptU32(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, transmit.entries * SEND_BUFFER_BYTES_PER_PACKET);
  }
  return { receive, transmit, reserved };
}

/** struct tpacket_req, or tpacket_req3. */
function ringStructure(version: RingVersion, ring: PacketRing, frameSize: number, retire: number): Struct {
  const bytes = bytesOf(ring);
  const request = new Struct(version === 'v3' ? 28 : 16)
    .u32(0, ring.blockBytes)
    .u32(4, bytes / ring.blockBytes)
    .u32(8, frameSize)
    .u32(12, bytes / frameSize);
  return version === 'v3' ? request.u32(16, retire) : request;
}

function framesOf(option: string, frames: number, frameSize: number, blockBytes: number): PacketRing | undefined {
  if (checkInteger(option, frames, 0, MOST_ENTRIES) === 0) return undefined;
  const perBlock = blockBytes / frameSize;
  return { entries: Math.ceil(frames / perBlock) * perBlock, entryBytes: frameSize, blockBytes };
}

function blocksOf(option: string, blocks: number, blockBytes: number): PacketRing | undefined {
  if (checkInteger(option, blocks, 0, MOST_ENTRIES) === 0) return undefined;
  return { entries: blocks, entryBytes: blockBytes, blockBytes };
}

function bytesOf(ring: PacketRing | undefined): number {
  return ring === undefined ? 0 : ring.entries * ring.entryBytes;
}

function expectRoom(arena: Arena, bytes: number): void {
  if (bytes <= arena.freeBytes) return;
  throw new PacketError(
    'ARENA_EXHAUSTED',
    `the rings take ${bytes} bytes, and ${arena.freeBytes} of the arena are free`,
    {
      remedy: 'shorter rings, smaller blocks or frames, or a larger arena (Arena.create, at most 2 GiB)',
    },
  );
}

/**
 * Maps both rings into the arena, as the kernel wants it: in one piece.
 *
 * @param mapping owns what is mapped, also after a failure
 * @throws PacketError ARENA_EXHAUSTED, SYSTEM_CALL
 */
export function mapRings(
  descriptor: number,
  mapping: RingMapping,
  { receive, transmit }: PacketRings,
): { receive: RingMap | undefined; transmit: RingMap | undefined } {
  const base = mapping.map(descriptor, 0, bytesOf(receive) + bytesOf(transmit), 'the rings');
  return {
    receive: receive && { base, ...receive },
    transmit: transmit && { base: base + bytesOf(receive), ...transmit },
  };
}
