import type { Arena } from '../../arena/arena.js';
import { type Executable, PACKET_VERDICT } from '../../ebpf/execution.js';
import { PacketPlaces } from '../../ebpf/trial/packet-places.js';
import { PacketError } from '../../errors.js';
import type { TestRun } from '../../kernel/programs.js';
import { RUN_PACKETS } from './packet-records.js';

/** An Ethernet header; and the longest packet that there is anywhere. */
const LEAST_BYTES = 14;
const MOST_BYTES = 65535;
const BENCH_BYTES = 2 ** 17;
/** Packets come from the first interface, as in Linux. */
const ORIGIN = { ingressInterface: 1, queue: 0 };

/** Where programs are tried on packets that no device has received. Its memory is taken on first use. */
export class TestBench {
  readonly #arena: Arena;
  #places: PacketPlaces | undefined;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED */
  run(executable: Executable, packet: Uint8Array, repeat: number): TestRun {
    if (!(packet.length >= LEAST_BYTES && packet.length <= MOST_BYTES)) {
      throw new PacketError('INVALID_OPTION', `test: a packet of ${packet.length} bytes`, {
        remedy: `programs run on ${LEAST_BYTES} (an Ethernet header) to ${MOST_BYTES} bytes`,
      });
    }
    this.#places ??= new PacketPlaces(this.#arena, ORIGIN, RUN_PACKETS, BENCH_BYTES);
    const places = this.#places;
    const packets = new Array<Uint8Array>(Math.min(repeat, RUN_PACKETS)).fill(packet);
    let milliseconds = 0;
    let last = 0;
    for (let left = repeat; left > 0; ) {
      const count = places.fill(packets, Math.max(0, packets.length - left));
      const start = performance.now();
      executable.run(places.records, count);
      milliseconds += performance.now() - start;
      left -= count;
      last = count - 1;
    }
    return {
      verdict: places.word(last, PACKET_VERDICT) >>> 0,
      packet: places.packet(last),
      nanoseconds: (milliseconds * 1e6) / repeat,
    };
  }

  close(): void {
    this.#places?.close();
    this.#places = undefined;
  }
}
