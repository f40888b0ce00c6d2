import type { Arena } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import { EACCES, ENODEV, EPERM } from '../constants.js';
import { Struct } from '../struct.js';
import { systemCallError } from '../system-call-error.js';
import type { SystemCalls } from '../system-calls.js';
import { EventRing } from './event-ring.js';
import type { LinuxMap } from './linux-map.js';
import { countPossibleCpus } from './possible-cpus.js';
import type { RecordReader } from './record-reader.js';
import { waitForRecords } from './record-wait.js';

// linux/perf_event.h; docs.kernel.org/bpf and perf_event_open(2).
const ATTRIBUTE_BYTES = 64; // PERF_ATTR_SIZE_VER0
const PERF_TYPE_SOFTWARE = 1;
const PERF_COUNT_SW_BPF_OUTPUT = 10;
const PERF_SAMPLE_RAW = 1 << 10;

/**
 * Records that programs put into a map of type perf_event_array: a ring for each CPU, so that only records of one CPU are in order. The reader
 * enters its rings into the map under the numbers of the CPUs, in the place of what is there. Records come with up to 7 bytes behind them that
 * nobody has written: the kernel rounds their length up to 4 and a multiple of 8.
 */
export class EventArrayRecords implements RecordReader {
  readonly #calls: SystemCalls;
  readonly #rings: EventRing[] = [];
  /** The ring to be looked at first, so that each has its turn. */
  #turn = 0;
  #closed = false;

  /** @throws PacketError ARENA_EXHAUSTED, NO_PRIVILEGE, SYSTEM_CALL */
  constructor(calls: SystemCalls, arena: Arena, map: LinuxMap) {
    this.#calls = calls;
    try {
      const cpus = Math.min(countPossibleCpus(), map.definition.maxEntries || Number.POSITIVE_INFINITY);
      for (let cpu = 0; cpu < cpus; cpu++) {
        const descriptor = openEvent(calls, cpu);
        if (descriptor === undefined) continue; // a CPU that is not there
        const ring = new EventRing(calls, arena, descriptor);
        this.#rings.push(ring);
        ring.map(`the records of ${map.definition.name}`);
        map.update(word(cpu), word(descriptor));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get lost(): number {
    return this.#rings.reduce((sum, ring) => sum + ring.lost, 0);
  }

  read(): Uint8Array | undefined {
    this.#expectOpen();
    for (let looked = 0; looked < this.#rings.length; looked++) {
      const ring = this.#rings[this.#turn]!;
      this.#turn = (this.#turn + 1) % this.#rings.length;
      const record = ring.read();
      if (record !== undefined) return record;
    }
    return undefined;
  }

  async wait(timeoutMilliseconds: number): Promise<boolean> {
    this.#expectOpen();
    const descriptors = this.#rings.map(({ descriptor }) => descriptor);
    const isReadable = () => !this.#closed && this.#rings.some((ring) => ring.isReadable());
    await waitForRecords(this.#calls, descriptors, timeoutMilliseconds, isReadable);
    return isReadable();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // The map keeps events without a ring until it is closed or they are replaced: programs are told that there is no room.
    for (const ring of this.#rings) ring.close();
  }

  #expectOpen(): void {
    if (!this.#closed) return;
    throw new PacketError('WRONG_STATE', 'the reader of records is closed', { remedy: 'open another' });
  }
}

/** @returns its descriptor, or undefined where there is no such CPU */
function openEvent(calls: SystemCalls, cpu: number): number | undefined {
  // struct perf_event_attr: type, size, config, sample_period, sample_type; then wakeup_events at 48.
  const attributes = new Struct(ATTRIBUTE_BYTES).u32(0, PERF_TYPE_SOFTWARE).u32(4, ATTRIBUTE_BYTES);
  attributes.u64(8, PERF_COUNT_SW_BPF_OUTPUT).u64(16, 1).u64(24, PERF_SAMPLE_RAW).u32(48, 1);
  const descriptor = calls.perfEventOpen(attributes, cpu);
  if (descriptor >= 0) return descriptor;
  if (descriptor === -ENODEV) return undefined;
  const denied = {
    code: 'NO_PRIVILEGE',
    why: 'not permitted',
    remedy: 'run it as root, or give it CAP_PERFMON',
  } as const;
  throw systemCallError('perf_event_open', -descriptor, `open the records of CPU ${cpu}`, {
    [EACCES]: denied,
    [EPERM]: denied,
  });
}

function word(value: number): Uint8Array {
  return new Struct(4).u32(0, value).bytes;
}
