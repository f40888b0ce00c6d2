import type { MemoryRegistration, PacketVersion, RingMap, SocketMaps } from '../../src/kernel/contract.js';
import type { Random } from '../support/random.js';
import { CANARY } from './canaries.js';

const KERNEL_OWNED = 1 << 31;
const CONTINUES = 1 << 24;
const EXTREMES = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 0xffff, 0x10000, 2048, 4096, 64, 63, 1514, 1515, 16384];

/** What an adversary is given: plain data, so that it also works on another thread. */
export interface AdversaryMeans {
  readonly version: PacketVersion;
  readonly maps: SocketMaps;
  readonly memory: MemoryRegistration;
  /** Arena offsets that it would like to be read or written: frames of others, guards, the kernel's own memory. */
  readonly targets: readonly number[];
}

/** What can be wrong with a burst. */
const FAULTS = ['flag', 'index', 'length', 'offset', 'count', 'options', 'producer', 'consumer'] as const;
type Fault = (typeof FAULTS)[number];

/**
 * A hostile application: writes into its own rings whatever may hurt. Bursts are honest, or wrong in a few respects now and then
 * or always, or wrong in all: so the kernel has something to do, and bad things come among good ones.
 */
export class Adversary {
  readonly #i32: Int32Array;
  readonly #random: Random;
  readonly #means: AdversaryMeans;
  readonly #frameShift: number;
  /** What is wrong with this burst, and once in how many words. */
  #faults: readonly Fault[] = [];
  #rarity = 1;
  /** The kernel's index words that noise has hit, with what stood there: without them an index ring stands still for good. */
  readonly #spoilt = new Map<number, { readonly good: number; readonly bad: number }>();

  constructor(i32: Int32Array, random: Random, means: AdversaryMeans) {
    this.#i32 = i32;
    this.#random = random;
    this.#means = means;
    this.#frameShift = 31 - Math.clz32(means.memory.frameSize);
  }

  /** One burst. */
  attack(): void {
    const { version } = this.#means;
    const random = this.#random;
    const kind = random.below(8);
    if (kind === 0) this.#faults = FAULTS;
    else if (kind < 3) this.#faults = [];
    else this.#faults = Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, () => random.pick(FAULTS));
    this.#rarity = random.pick([1, 4, 16, 64]);
    if (random.below(4) > 0) this.#repair();
    if (random.oneIn(8)) this.#noise();
    if (version === 'v4') this.#attackOwnerRings();
    else if (version === 'xdp') this.#attackIndexRings();
    else this.#attackSlots();
  }

  #honest(fault: Fault): boolean {
    return !this.#faults.includes(fault) || !this.#random.oneIn(this.#rarity);
  }

  // Values

  /** Any word, without canaries. */
  #word(): number {
    const random = this.#random;
    const { memory, targets } = this.#means;
    switch (random.below(6)) {
      case 0:
        return random.pick(EXTREMES);
      case 1:
        return random.below(256);
      case 2:
        return (random.pick(targets) - memory.base) | 0;
      case 3:
        return ((random.pick(targets) - memory.base) >> this.#frameShift) | 0;
      case 4:
        return memory.frames * (random.oneIn(2) ? 1 : memory.frameSize) - random.below(3) + 1;
      default:
        return random.word() | 0;
    }
  }

  #write(word: number, value: number): void {
    let clean = value;
    for (let shift = 0; shift < 32; shift += 8) {
      if (((clean >>> shift) & 0xff) === CANARY) clean ^= 1 << shift;
    }
    // Through both kinds of stores, as an application might.
    if (this.#random.oneIn(4)) Atomics.store(this.#i32, word, clean);
    else this.#i32[word] = clean;
  }

  /** A frame's number; mostly one of its own, mostly the same few. */
  #index(): number {
    const random = this.#random;
    const { frames } = this.#means.memory;
    if (!this.#honest('index')) return this.#word();
    return random.oneIn(2) ? random.below(frames) : random.below(4);
  }

  #length(): number {
    const random = this.#random;
    if (!this.#honest('length')) return this.#word();
    return random.oneIn(8) ? random.between(1, this.#means.memory.frameSize) : random.between(14, 400);
  }

  // Noise

  /** Random words anywhere in the rings, indices and flags among them. */
  #noise(): void {
    const random = this.#random;
    const { maps } = this.#means;
    const rings = [maps.receive, maps.transmit, maps.fill, maps.completion].filter((ring) => ring !== undefined);
    for (let i = random.below(64); i > 0; i--) {
      const ring = random.pick(rings);
      const words = [ring.base + 4 * random.below((ring.entries * ring.entryBytes) / 4)];
      if (random.oneIn(8)) words.push(random.oneIn(2) ? maps.wakeReceive : maps.wakeTransmit);
      if (ring.producer !== undefined && random.oneIn(8)) words.push(ring.producer, ring.consumer!);
      for (const at of words) this.#spoil(at >> 2, ring);
    }
  }

  #spoil(word: number, ring: RingMap): void {
    const good = this.#spoilt.get(word)?.good ?? this.#i32[word]!;
    this.#write(word, this.#word());
    const isIndex = word === ring.producer! >> 2 || word === ring.consumer! >> 2;
    if (isIndex) this.#spoilt.set(word, { good, bad: this.#i32[word]! });
  }

  #repair(): void {
    for (const [word, { good, bad }] of this.#spoilt) if (this.#i32[word] === bad) this.#i32[word] = good;
    this.#spoilt.clear();
  }

  // V4

  #attackOwnerRings(): void {
    const { maps } = this.#means;
    if (maps.receive !== undefined) this.#flood(maps.receive, false);
    if (maps.transmit !== undefined) this.#flood(maps.transmit, true);
  }

  /** Posts a stretch of descriptors; the kernel finds them wherever it is. */
  #flood(ring: RingMap, packets: boolean): void {
    const random = this.#random;
    const first = random.below(ring.entries);
    const count = random.oneIn(3) ? ring.entries : random.below(ring.entries);
    const endless = packets && random.oneIn(8);
    const chains = packets && random.oneIn(2) ? random.between(2, 6) : 0;
    for (let i = count - 1; i >= 0; i--) {
      const at = (ring.base >> 2) + (((first + i) & (ring.entries - 1)) << 2);
      const bytes = this.#length();
      const { frameSize } = this.#means.memory;
      let word = this.#honest('offset') ? random.below(Math.max(1, frameSize - bytes)) & 0xffff : this.#word();
      if (endless || (chains > 0 && !random.oneIn(chains))) word |= CONTINUES;
      else if (this.#honest('options')) word &= 0xffff;
      if (this.#honest('flag')) word |= KERNEL_OWNED;
      this.#write(at, this.#index());
      if (packets || random.oneIn(4)) this.#write(at + 1, bytes);
      this.#write(at + 3, this.#honest('count') ? random.below(2) : random.oneIn(2) ? this.#word() : ring.entries);
      this.#write(at + 2, word);
    }
  }

  // AF_XDP

  #attackIndexRings(): void {
    const random = this.#random;
    const { receive, transmit, fill, completion } = this.#means.maps;
    if (fill !== undefined && random.below(4) > 0) this.#produce(fill, false);
    if (transmit !== undefined && random.below(4) > 0) this.#produce(transmit, true);
    if (receive !== undefined) this.#consume(receive);
    if (completion !== undefined) this.#consume(completion);
  }

  #produce(ring: RingMap, packets: boolean): void {
    const random = this.#random;
    const { memory } = this.#means;
    const i32 = this.#i32;
    const producer = ring.producer! >> 2;
    const consumer = ring.consumer! >> 2;
    const from = this.#honest('producer') ? i32[consumer]! : i32[producer]!;
    const count = random.oneIn(3) ? ring.entries : random.below(ring.entries + 2);
    const endless = packets && random.oneIn(8);
    const chains = packets && random.oneIn(2) ? random.between(2, 6) : 0;
    for (let i = 0; i < count; i++) {
      const entry = (ring.base >> 2) + (((from + i) & (ring.entries - 1)) * ring.entryBytes) / 4;
      const bytes = this.#length();
      const within = random.below(Math.max(1, this.#honest('offset') ? memory.frameSize - bytes : memory.frameSize));
      const address = this.#honest('index') ? this.#index() * memory.frameSize + within : this.#word();
      this.#write(entry, address | 0);
      this.#write(entry + 1, this.#honest('flag') ? 0 : this.#word());
      if (!packets) continue;
      this.#write(entry + 2, bytes);
      const continues = endless || (chains > 0 && !random.oneIn(chains)) ? 1 : 0;
      this.#write(entry + 3, this.#honest('options') ? continues : this.#word());
    }
    if (this.#honest('producer')) Atomics.store(i32, producer, (from + count) | 0);
    else this.#write(producer, this.#strangeIndex(from));
  }

  #consume(ring: RingMap): void {
    const i32 = this.#i32;
    const produced = Atomics.load(i32, ring.producer! >> 2);
    if (this.#honest('consumer')) Atomics.store(i32, ring.consumer! >> 2, produced);
    else this.#write(ring.consumer! >> 2, this.#strangeIndex(produced));
  }

  /** Ahead, behind, far away. */
  #strangeIndex(index: number): number {
    const random = this.#random;
    const { receive, transmit } = this.#means.maps;
    const entries = (receive ?? transmit)!.entries;
    switch (random.below(5)) {
      case 0:
        return (index - random.below(2 * entries)) | 0;
      case 1:
        return (index + random.below(4 * entries)) | 0;
      case 2:
        return (index + 2 ** 31) | 0;
      case 3:
        return index ^ -1;
      default:
        return this.#word();
    }
  }

  // V2, V3

  #attackSlots(): void {
    const { version, maps } = this.#means;
    const { receive, transmit } = maps;
    if (receive !== undefined) {
      if (version === 'v2') this.#returnSlots(receive);
      else this.#returnBlocks(receive);
    }
    if (transmit !== undefined) this.#postSlots(transmit);
  }

  /** V2: status and "handed over" words of a stretch of receive slots. */
  #returnSlots(ring: RingMap): void {
    const random = this.#random;
    const first = random.below(ring.entries);
    for (let i = random.oneIn(2) ? ring.entries : random.below(ring.entries); i > 0; i--) {
      const header = (ring.base + ((first + i) % ring.entries) * ring.entryBytes) >> 2;
      this.#write(header + 7, this.#honest('count') ? -random.below(2) : this.#word());
      this.#write(header, this.#honest('flag') ? 0 : this.#word());
      if (!this.#honest('options')) this.#write(header + random.below(16), this.#word());
    }
  }

  /** V3: status words of blocks, and headers in them. */
  #returnBlocks(ring: RingMap): void {
    const random = this.#random;
    for (let block = 0; block < ring.entries; block++) {
      const header = (ring.base + block * ring.entryBytes) >> 2;
      if (random.oneIn(2)) this.#write(header + 2, this.#honest('flag') ? 0 : this.#word());
      if (this.#honest('options')) continue;
      for (let i = random.below(8); i > 0; i--) {
        this.#write(header + random.below(random.oneIn(2) ? 12 : ring.entryBytes / 4), this.#word());
      }
    }
  }

  /** TX slots of V2 (status 0, length 1, handed over 7) and V3 (next offset 0, length 4, status 5, handed over 10). */
  #postSlots(ring: RingMap): void {
    const random = this.#random;
    const v2 = this.#means.version === 'v2';
    const [statusWord, lengthWord, handedOverWord] = v2 ? [0, 1, 7] : [5, 4, 10];
    const first = random.below(ring.entries);
    const count = random.oneIn(3) ? ring.entries : random.below(ring.entries);
    for (let i = count - 1; i >= 0; i--) {
      const header = (ring.base + ((first + i) % ring.entries) * ring.entryBytes) >> 2;
      if (!v2) this.#write(header, this.#honest('offset') ? 0 : this.#word());
      this.#write(header + lengthWord, this.#length());
      if (!this.#honest('options')) this.#write(header + random.below(16), this.#word());
      this.#write(header + handedOverWord, this.#honest('count') ? -random.below(2) : this.#word());
      this.#write(header + statusWord, this.#honest('flag') ? 1 : this.#word());
    }
  }
}
