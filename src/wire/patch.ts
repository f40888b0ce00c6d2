import type { Arena, Region } from '../arena/arena.js';
import { checkInteger, PacketError } from '../errors.js';
import { checkBoolean } from '../options.js';
import { WireCounters, type WireSink, type WireSource } from './contract.js';
import { checkNumber } from './numbers.js';
import { PatchWay } from './patch-way.js';

/** Options of one end of a cable between two devices. Plain data. */
export interface PatchOptions {
  /** Which wire it is. */
  readonly kind: 'patch';
  /** Name of the cable, 1 to 64 characters: the two devices that name it are joined. The link is up when both are there. */
  readonly cable: string;
  /** Bytes on their way in each direction, 4096 to 2^28; default 262144. Packets that find no room are lost. */
  readonly bytes?: number;
  /** Time on the cable in nanoseconds, 0 to 1e10; default 0. */
  readonly latencyNanoseconds?: number;
  /**
   * Whether packets wait on the cable for a device that has no receive descriptors, as with pause frames; default false: that
   * device drops and counts them.
   */
  readonly pause?: boolean;
}

const DEFAULT_BYTES = 262144;
const CACHE_LINE_BYTES = 64;

/** What both ends of a cable agree on. */
interface Cable {
  readonly bytes: number;
  readonly latency: number;
  readonly pause: boolean;
}

/**
 * A cable between two devices: what one sends arrives at the other. Each end is plugged in on its own and may be pulled out and
 * plugged in again; what is on its way to an end that is pulled out is lost.
 *
 *     end 0   sink --put--> [ way 0 ] --take--> source   end 1
 *             source <--take-- [ way 1 ] <--put-- sink
 */
export class Patch {
  readonly #arena: Arena;
  readonly #cable: Cable;
  readonly #region: Region;
  /** Way i leads away from end i. */
  readonly #ways: readonly [PatchWay, PatchWay];
  readonly #plugged: (PatchEnd | undefined)[] = [undefined, undefined];
  readonly #unused: () => void;

  /**
   * @param unused called when both ends are pulled out and the memory is given back
   * @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED
   */
  constructor(arena: Arena, options: PatchOptions, unused: () => void) {
    this.#arena = arena;
    this.#cable = checkPatchOptions(options);
    this.#unused = unused;
    const { bytes } = this.#cable;
    const wayBytes = PatchWay.memoryBytes(bytes);
    this.#region = arena.allocate(2 * wayBytes);
    const { offset } = this.#region;
    this.#ways = [new PatchWay(arena, offset, bytes), new PatchWay(arena, offset + wayBytes, bytes)];
  }

  /** Whether both ends are plugged in. */
  get up(): boolean {
    return this.#plugged[0] !== undefined && this.#plugged[1] !== undefined;
  }

  /**
   * Plugs a device into a free end.
   * @throws PacketError INVALID_OPTION where there is none, or where the options contradict those of the other end
   */
  plug(options: PatchOptions): PatchEnd {
    this.#agree(options);
    const number = this.#plugged[0] === undefined ? 0 : 1;
    if (this.#plugged[number] !== undefined) {
      throw new PacketError('INVALID_OPTION', `cable: both ends of ${options.cable} are plugged in`, {
        remedy: 'choose another name for the cable',
      });
    }
    const end = {
      source: new PatchSource(this, this.#ways[1 - number]!, this.#cable.pause, () => this.#pull(number)),
      sink: new PatchSink(this, this.#ways[number], this.#cable.latency, () => this.#pull(number)),
    };
    this.#plugged[number] = end;
    return end;
  }

  #agree(options: PatchOptions): void {
    const { cable, bytes, latencyNanoseconds, pause } = options;
    const given = checkPatchOptions(options);
    const agreed = this.#cable;
    if (bytes !== undefined && given.bytes !== agreed.bytes) throw contradiction(cable, 'bytes', agreed.bytes);
    if (latencyNanoseconds !== undefined && given.latency !== agreed.latency) {
      throw contradiction(cable, 'latencyNanoseconds', agreed.latency);
    }
    if (pause !== undefined && given.pause !== agreed.pause) throw contradiction(cable, 'pause', agreed.pause);
  }

  #pull(number: 0 | 1): void {
    if (this.#plugged[number] === undefined) return;
    this.#plugged[number] = undefined;
    const other = this.#plugged[1 - number];
    // What this end has sent still lies there for the other end, which may have been offered it already.
    const back = this.#ways[1 - number]!;
    if (other !== undefined) other.sink.counters.lost += back.packets;
    back.drop(back.packets);
    if (other !== undefined) return;
    this.#arena.free(this.#region);
    this.#unused();
  }
}

/** What a device holds of a cable. */
export interface PatchEnd {
  readonly source: PatchSource;
  readonly sink: PatchSink;
}

/** The receiving half of an end. */
class PatchSource implements WireSource {
  readonly counters = new WireCounters();

  constructor(
    private readonly patch: Patch,
    private readonly way: PatchWay,
    readonly patient: boolean,
    readonly close: () => void,
  ) {}

  get up(): boolean {
    return this.patch.up;
  }

  get list(): number {
    return this.way.list;
  }

  offer(limit: number, now: number): number {
    return this.way.arrived(limit, now);
  }

  take(count: number): void {
    this.counters.packets += count;
    this.counters.bytes += this.way.drop(count);
  }

  nextArrival(now: number): number {
    // Packets that wait for the link to come up do not come at any time.
    if (this.patient && !this.up) return Number.POSITIVE_INFINITY;
    const { nextArrival } = this.way;
    return Math.max(nextArrival, now);
  }
}

/** The sending half of an end. What finds no room on the cable, or nobody at its other end, is lost. */
class PatchSink implements WireSink {
  readonly counters = new WireCounters();

  constructor(
    private readonly patch: Patch,
    private readonly way: PatchWay,
    private readonly latency: number,
    readonly close: () => void,
  ) {}

  transmit(list: number, count: number, now: number): void {
    this.counters.packets += count;
    this.counters.lost += this.patch.up ? this.way.put(list, count, now + this.latency) : count;
  }
}

/** @throws PacketError INVALID_OPTION */
function checkPatchOptions(options: PatchOptions): Cable {
  const { cable, bytes = DEFAULT_BYTES, latencyNanoseconds = 0, pause = false } = options;
  if (typeof cable !== 'string' || cable.length === 0 || cable.length > 64) {
    throw new PacketError('INVALID_OPTION', `cable: ${JSON.stringify(cable)} is not a name of 1 to 64 characters`, {
      remedy: 'both ends of a cable say the same name',
    });
  }
  checkBoolean('pause', pause);
  const whole = Math.ceil(checkInteger('bytes', bytes, 4096, 2 ** 28) / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
  return { bytes: whole, latency: checkNumber('latencyNanoseconds', latencyNanoseconds, 0, 1e10), pause };
}

function contradiction(cable: string, option: string, agreed: number | boolean): PacketError {
  const message = `${option}: the other end of cable ${cable} has ${agreed}`;
  return new PacketError('INVALID_OPTION', message, { remedy: `say it at one end only, or ${agreed} at both` });
}
