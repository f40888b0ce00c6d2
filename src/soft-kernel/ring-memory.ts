import type { Arena, Region } from '../arena/arena.js';
import { checkInteger, checkPowerOfTwo } from '../errors.js';
import type { PacketVersion, RingMap, RingRequest, SocketMaps } from '../kernel/contract.js';
import { DESCRIPTOR_BYTES as V4_DESCRIPTOR_BYTES } from '../ring/v4/layout.js';
import {
  ADDRESS_BYTES,
  CONSUMER_OFFSET,
  ENTRIES_OFFSET,
  FLAGS_OFFSET,
  PRODUCER_OFFSET,
  DESCRIPTOR_BYTES as XDP_DESCRIPTOR_BYTES,
} from '../ring/xdp/layout.js';

// One region per socket:
//
//   0: wake word of receiving | 4: of sending | 64: event counter | 256 (V2, V3: 4096): the rings, one after the other
//
// The event counter is on a cache line of its own: only waiting touches it.
const WAKE_RECEIVE = 0;
const WAKE_TRANSMIT = 4;
const EVENT = 64;
const FRAME_RINGS = 256;
const PAGE = 4096;
/** Bytes that headroom leaves of a slot of V2, or of a block or frame size of V3. */
const LEAST_SLOT_ROOM = 128;
const LEAST_BLOCK_ROOM = 192;

/** The memory of one socket's rings. */
export interface RingMemory {
  readonly region: Region;
  readonly maps: SocketMaps;
  /** Arena byte offset of the word that counts events for waiting applications. */
  readonly event: number;
}

/** Checks sizes and lays the rings out. @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED */
export function allocateRings(arena: Arena, version: PacketVersion, request: RingRequest): RingMemory {
  const plan = PLANS[version](request);
  const region = arena.allocate(plan.bytes);
  arena.clear(region);
  return { region, maps: plan.place(region.offset), event: region.offset + EVENT };
}

interface Plan {
  readonly bytes: number;
  place(base: number): SocketMaps;
}

const PLANS: Record<PacketVersion, (request: RingRequest) => Plan> = {
  v2: (request) => planSlots(request, false),
  v3: (request) => planSlots(request, true),
  v4: planOwnerRings,
  xdp: planIndexRings,
};

function entries(option: string, value: number): number {
  return value === 0 ? 0 : checkPowerOfTwo(option, value, 8, 65536);
}

function wakeWords(base: number): { wakeReceive: number; wakeTransmit: number } {
  return { wakeReceive: base + WAKE_RECEIVE, wakeTransmit: base + WAKE_TRANSMIT };
}

function planOwnerRings(request: RingRequest): Plan {
  const receive = entries('receive ring', request.receive);
  const transmit = entries('transmit ring', request.transmit);
  const entryBytes = V4_DESCRIPTOR_BYTES;
  return {
    bytes: FRAME_RINGS + (receive + transmit) * entryBytes,
    place(base) {
      const at = base + FRAME_RINGS;
      return {
        ...(receive > 0 && { receive: { base: at, entries: receive, entryBytes } }),
        ...(transmit > 0 && { transmit: { base: at + receive * entryBytes, entries: transmit, entryBytes } }),
        ...wakeWords(base),
      };
    },
  };
}

function planIndexRings(request: RingRequest): Plan {
  const rings = [
    ['receive', entries('receive ring', request.receive), XDP_DESCRIPTOR_BYTES],
    ['transmit', entries('transmit ring', request.transmit), XDP_DESCRIPTOR_BYTES],
    ['fill', entries('fill ring', request.fill ?? request.receive), ADDRESS_BYTES],
    ['completion', entries('completion ring', request.completion ?? request.transmit), ADDRESS_BYTES],
  ] as const;
  const bytes = rings.reduce(
    (sum, [, count, size]) => sum + (count > 0 ? ENTRIES_OFFSET + count * size : 0),
    FRAME_RINGS,
  );
  return {
    bytes,
    place(base) {
      const maps: { -readonly [K in keyof SocketMaps]: SocketMaps[K] } = wakeWords(base);
      let at = base + FRAME_RINGS;
      for (const [kind, count, entryBytes] of rings) {
        if (count === 0) continue;
        const map: RingMap = {
          base: at + ENTRIES_OFFSET,
          entries: count,
          entryBytes,
          producer: at + PRODUCER_OFFSET,
          consumer: at + CONSUMER_OFFSET,
        };
        maps[kind] = map;
        // As on Linux, the wake bits are in the flags words of the fill and the TX ring.
        if (kind === 'fill') maps.wakeReceive = at + FLAGS_OFFSET;
        if (kind === 'transmit') maps.wakeTransmit = at + FLAGS_OFFSET;
        at += ENTRIES_OFFSET + count * entryBytes;
      }
      return maps;
    },
  };
}

/** V2: frames for both directions. V3: blocks for receiving, frames for sending. One mapping for both, as on Linux. */
function planSlots(request: RingRequest, blocks: boolean): Plan {
  const frameSize = checkPowerOfTwo('ring frame size', request.frameSize ?? 2048, 128, 65536);
  const blockSize = checkPowerOfTwo('ring block size', request.blockSize ?? Math.max(PAGE, frameSize), PAGE, 2 ** 26);
  // Room for the headers, and a few bytes of a packet.
  const largestHeadroom = blocks ? Math.min(frameSize, blockSize) - LEAST_BLOCK_ROOM : frameSize - LEAST_SLOT_ROOM;
  checkInteger('headroom', request.headroom ?? 0, 0, Math.max(0, largestHeadroom));
  const receive = checkInteger('receive ring', request.receive, 0, 2 ** 20);
  const transmit = checkInteger('transmit ring', request.transmit, 0, 2 ** 20);
  const receiveBytes = receive * (blocks ? blockSize : frameSize);
  const transmitBytes = transmit * frameSize;
  return {
    bytes: PAGE + receiveBytes + transmitBytes,
    place(base) {
      const at = base + PAGE;
      const receiveMap: RingMap = {
        base: at,
        entries: receive,
        entryBytes: blocks ? blockSize : frameSize,
        blockBytes: blockSize,
      };
      const transmitMap: RingMap = {
        base: at + receiveBytes,
        entries: transmit,
        entryBytes: frameSize,
        blockBytes: blockSize,
      };
      return {
        ...(receive > 0 && { receive: receiveMap }),
        ...(transmit > 0 && { transmit: transmitMap }),
        ...wakeWords(base),
      };
    },
  };
}
