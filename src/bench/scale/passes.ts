import { Rss } from '../../nic/rss.js';
import { createFlowKey, FLOW_KEY_WORDS, type FlowKey, parseFlowKey } from '../../packet/flow-key.js';
import { FlowTable } from '../../steering/flow-table.js';
import { flowAddress, packetLengths, type TrafficOptions, writeTrafficPacket } from '../../wire/traffic.js';
import { timedRun, undisturbed } from '../rings/runs.js';
import type { ScaleMeasurement, ScaleSettings } from './point.js';

// What a packet program does with a batch (F12, Q9), cut into stages: read the flow, look it up, count it, hash it, rewrite
// the packet. In one long pass all of it is done for one packet after the other; in short passes each stage is done for the whole
// batch before the next begins, so that its code and tables stay where they are, at the price of columns between the stages.

const BATCH = 64;
/** Enough that their memory lies in the last cache. */
const PACKETS = 4096;
const FLOWS = 1024;
const FRAME_BYTES = 2048;
const DATA_OFFSET = 256;
/** Batches between looks at the clock. */
const BATCHES = 16;

/** In how many passes the stages can be cut; 2 is one pass behind one that reads ahead. */
export const PASSES = [1, 2, 3, 5] as const;
export type Passes = (typeof PASSES)[number];

/** Nanoseconds per packet of a batch of 64 in so many of {@link PASSES}. */
export function measurePasses(passes: Passes, settings: ScaleSettings): ScaleMeasurement {
  const program = new Program();
  const run = {
    1: () => program.onePass(),
    2: () => program.readAhead(),
    3: () => program.threePasses(),
    5: () => program.stages(),
  }[passes];
  const turn = (): number => {
    for (let i = 0; i < BATCHES; i++) {
      run();
      program.nextBatch();
    }
    return BATCHES * BATCH;
  };
  timedRun(settings.warmUpSeconds, 1, turn);
  return undisturbed(settings.runs, () => timedRun(settings.seconds, 1, turn));
}

class Program {
  readonly #bytes = new Uint8Array(PACKETS * FRAME_BYTES);
  readonly #offset = new Int32Array(BATCH);
  readonly #length: number;
  readonly #table = new FlowTable({ seed: 1 });
  readonly #rss = new Rss({ queues: 16 });
  /** Packets and bytes of each flow. */
  readonly #packetsOf = new Int32Array(FLOWS);
  readonly #bytesOf = new Int32Array(FLOWS);
  // Columns between the stages.
  readonly #keys: FlowKey[] = Array.from({ length: BATCH }, () => new Int32Array(FLOW_KEY_WORDS));
  readonly #flow = new Int32Array(BATCH);
  readonly #queue = new Int32Array(BATCH);
  readonly #key = createFlowKey();
  #first = 0;
  #queues = 0;

  constructor() {
    const traffic: TrafficOptions = { packets: PACKETS, flows: FLOWS };
    this.#length = packetLengths(traffic)[0]!;
    for (let i = 0; i < PACKETS; i++) {
      writeTrafficPacket(this.#bytes, i * FRAME_BYTES + DATA_OFFSET, i, this.#length, traffic);
    }
    for (let flow = 0; flow < FLOWS; flow++) this.#table.add({ protocol: 'udp', source: flowAddress(flow) }, flow);
    this.nextBatch();
  }

  /** Some other packets of the memory, as a ring would give them. */
  nextBatch(): void {
    for (let i = 0; i < BATCH; i++) this.#offset[i] = (this.#first + i) * FRAME_BYTES + DATA_OFFSET;
    this.#first = (this.#first + BATCH) % PACKETS;
  }

  onePass(): void {
    for (let i = 0; i < BATCH; i++) {
      const at = this.#offset[i]!;
      parseFlowKey(this.#bytes, at, this.#length, this.#key);
      const flow = this.#table.lookup(this.#key);
      this.#count(flow);
      this.#queues += this.#rss.queue(this.#key);
      this.#rewrite(at);
    }
  }

  /** Reads a byte of every packet first, all at once, so that memory is waited for once; then one pass. */
  readAhead(): void {
    let bytes = 0;
    for (let i = 0; i < BATCH; i++) bytes += this.#bytes[this.#offset[i]!]!;
    this.#queues += bytes;
    this.onePass();
  }

  /** Reading, looking up and hashing share the flow key, so they are one pass; between the passes are two numbers a packet. */
  threePasses(): void {
    const key = this.#key;
    for (let i = 0; i < BATCH; i++) {
      parseFlowKey(this.#bytes, this.#offset[i]!, this.#length, key);
      this.#flow[i] = this.#table.lookup(key);
      this.#queue[i] = this.#rss.queue(key);
    }
    for (let i = 0; i < BATCH; i++) {
      this.#count(this.#flow[i]!);
      this.#queues += this.#queue[i]!;
    }
    for (let i = 0; i < BATCH; i++) this.#rewrite(this.#offset[i]!);
  }

  /** Every stage a pass; between them are whole flow keys. */
  stages(): void {
    for (let i = 0; i < BATCH; i++) parseFlowKey(this.#bytes, this.#offset[i]!, this.#length, this.#keys[i]!);
    for (let i = 0; i < BATCH; i++) this.#flow[i] = this.#table.lookup(this.#keys[i]!);
    for (let i = 0; i < BATCH; i++) this.#count(this.#flow[i]!);
    for (let i = 0; i < BATCH; i++) this.#queue[i] = this.#rss.queue(this.#keys[i]!);
    for (let i = 0; i < BATCH; i++) {
      this.#rewrite(this.#offset[i]!);
      this.#queues += this.#queue[i]!;
    }
  }

  #count(flow: number): void {
    this.#packetsOf[flow]!++;
    this.#bytesOf[flow] = (this.#bytesOf[flow]! + this.#length) | 0;
  }

  /** Swaps the link-layer addresses, as l2fwd does, and takes one hop off (RFC 1624 for the checksum). */
  #rewrite(at: number): void {
    const bytes = this.#bytes;
    for (let i = 0; i < 6; i++) {
      const byte = bytes[at + i]!;
      bytes[at + i] = bytes[at + 6 + i]!;
      bytes[at + 6 + i] = byte;
    }
    bytes[at + 22] = bytes[at + 22]! - 1;
    const sum = ((bytes[at + 24]! << 8) | bytes[at + 25]!) + 0x100;
    bytes[at + 24] = ((sum + (sum >> 16)) >> 8) & 0xff;
    bytes[at + 25] = (sum + (sum >> 16)) & 0xff;
  }
}
