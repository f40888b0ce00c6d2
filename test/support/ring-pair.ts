import { Arena, type Region } from '../../src/arena/arena.js';
import type { Direction, SocketMaps } from '../../src/kernel/contract.js';
import { PacketBuffer, type PacketBufferOptions } from '../../src/packet-buffer/packet-buffer.js';
import { COPY_LIST_BYTES, type CopyMeans } from '../../src/ring/frame-kernel-rings.js';
import type { FrameRings } from '../../src/ring/frame-rings.js';
import { V4KernelRings } from '../../src/ring/v4/kernel.js';
import { V4Rings } from '../../src/ring/v4/user.js';
import { XdpKernelRings } from '../../src/ring/xdp/kernel.js';
import { XdpRings } from '../../src/ring/xdp/user.js';
import { allocateRings } from '../../src/soft-kernel/ring-memory.js';
import { freeFrames, poolIsWhole } from './pool.js';

export const FRAME_VERSIONS = ['v4', 'xdp'] as const;
export type FrameVersion = (typeof FRAME_VERSIONS)[number];

export interface RingPairOptions {
  readonly version: FrameVersion;
  /** Descriptors of each ring; default 16. */
  readonly ring?: number;
  /** Other sizes for some of them; 0 for none. */
  readonly receive?: number;
  readonly transmit?: number;
  readonly fill?: number;
  readonly completion?: number;
  /** Default 64 frames, half of them for sending. */
  readonly buffer?: Omit<PacketBufferOptions, 'arena'> | PacketBuffer;
  readonly arena?: Arena;
  readonly outcomes?: boolean;
  readonly segments?: boolean;
  /** Where all free-running indices start. */
  readonly firstIndex?: number;
}

/** User and kernel side of one socket's rings over the same memory, in one thread and with no kernel around them. */
export class RingPair {
  readonly version: FrameVersion;
  readonly arena: Arena;
  readonly buffer: PacketBuffer;
  readonly maps: SocketMaps;
  readonly means: CopyMeans;
  readonly user: FrameRings;
  readonly kernel: V4KernelRings | XdpKernelRings;
  readonly region: Region;
  /** The user side's kicks. */
  readonly kicks: Direction[] = [];
  /** What a kick does. */
  onKick: ((direction: Direction) => void) | undefined;

  constructor(options: RingPairOptions) {
    const { version, ring = 16, outcomes = false, segments = false, firstIndex = 0 } = options;
    const { receive = ring, transmit = ring, fill = receive, completion = transmit } = options;
    this.version = version;
    if (options.buffer instanceof PacketBuffer) {
      this.buffer = options.buffer;
      this.arena = this.buffer.arena;
    } else {
      this.arena = options.arena ?? Arena.create(2 ** 23);
      this.buffer = PacketBuffer.create({ frames: 64, arena: this.arena, ...options.buffer });
    }
    const { arena, buffer } = this;
    const { maps, region } = allocateRings(arena, version, { receive, transmit, fill, completion });
    this.maps = maps;
    this.region = region;
    this.means = { i32: arena.i32, routines: arena.routines, copyList: arena.allocate(COPY_LIST_BYTES).offset };
    const kicker = {
      kick: (direction: Direction) => {
        this.kicks.push(direction);
        this.onKick?.(direction);
      },
    };
    if (version === 'v4') {
      this.user = new V4Rings({ buffer, maps, kicker, outcomes, firstIndex });
      this.kernel = new V4KernelRings(this.means, buffer, maps, segments, firstIndex);
    } else {
      // Index rings begin where their words stand.
      for (const map of [maps.receive, maps.transmit, maps.fill, maps.completion]) {
        if (map === undefined) continue;
        arena.i32[map.producer! >> 2] = firstIndex | 0;
        arena.i32[map.consumer! >> 2] = firstIndex | 0;
      }
      this.user = new XdpRings({ buffer, maps, kicker, outcomes });
      this.kernel = new XdpKernelRings(this.means, buffer, maps, segments);
    }
  }

  /** Frames in the pool. */
  get free(): number {
    return freeFrames(this.buffer);
  }

  /** Whether the frames in the pool are all of the buffer's, each once. */
  poolIsWhole(): boolean {
    return poolIsWhole(this.buffer);
  }
}
