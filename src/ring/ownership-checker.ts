import type { PacketVersion, SocketMaps } from '../kernel/contract.js';
import type { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import {
  AWAY,
  HELD,
  type OwnershipCall,
  OwnershipCallSite,
  OwnershipLedger,
  type OwnershipReporter,
  type OwnershipViolation,
  type OwnershipViolationKind,
  SENT,
} from './ownership-ledger.js';
import { type OwnedSlot, OwnershipSlots } from './ownership-slots.js';
import { PACKET_CONTINUES, PacketBatch } from './packet-batch.js';
import { SentOrigin } from './sent-origin.js';
import type { PacketOrigin, RingCounters, SocketRings } from './socket-rings.js';

export type {
  OwnershipCall,
  OwnershipCallSite,
  OwnershipViolation,
  OwnershipViolationKind,
} from './ownership-ledger.js';

/** What an {@link OwnershipChecker} is made of. */
export interface OwnershipCheckerOptions {
  readonly version: PacketVersion;
  readonly buffer: PacketBuffer;
  readonly maps: SocketMaps;
  /** What messages call the socket. */
  readonly socket: string;
  /**
   * Told of each violation at the end of the call in which it was found. What it throws, the program's call throws; nothing is
   * half done then.
   */
  readonly report?: (violation: OwnershipViolation) => void;
}

/** Violations that a checker keeps; of a program that goes wrong in a loop the first ones tell enough. */
const MOST_VIOLATIONS = 1000;

/** What it is to name the same packet twice in a batch. */
const TWICE: Partial<Record<OwnershipCall, OwnershipViolationKind>> = {
  send: 'double-post',
  release: 'double-release',
};

/**
 * The frame-ownership checker: rings around a socket's rings, for debugging. It knows of every frame whether the program holds it, and
 * reports frames sent, released or to be kept that are not held, frames written to between sending and their return, and at the end frames never
 * given back, each with the calls concerned. What it reports it does not pass on, so that one mistake makes one report: a wrong
 * entry is left out of the batch (with its whole packet, whose other frames are released).
 *
 * All sockets of a packet buffer should be checked, and all of them in one thread: what other threads or unchecked sockets
 * take, the ledger does not see. Each call costs some microseconds, each sent byte a nanosecond or so; unchecked sockets pay nothing.
 */
export class OwnershipChecker implements SocketRings, OwnershipReporter {
  /** What was found so far, oldest first, 1000 at most. */
  readonly violations: OwnershipViolation[] = [];
  /** The rings that do the work. */
  readonly inner: SocketRings;
  readonly #socket: string;
  readonly #tell: ((violation: OwnershipViolation) => void) | undefined;
  readonly #ledger: OwnershipLedger;
  readonly #slots: OwnershipSlots;
  /** Found in the call at hand and not told yet. */
  #untold: OwnershipViolation[] = [];
  #depth = 0;
  /** What batches were sent from, and what the inner rings were told instead. */
  readonly #sentOrigins = new WeakMap<PacketOrigin, SentOrigin>();
  readonly #madeByProgram = new SentOrigin(null);
  #closed = false;

  /** @internal `openSocket` makes it, with `checkOwnership` */
  constructor(inner: SocketRings, options: OwnershipCheckerOptions) {
    this.inner = inner;
    this.#socket = options.socket;
    this.#tell = options.report;
    this.#ledger = OwnershipLedger.join(options.buffer, this);
    this.#slots = new OwnershipSlots(options.version, options.maps, options.buffer.arena.u8);
  }

  get counters(): RingCounters {
    return this.inner.counters;
  }

  get largestPacket(): number {
    return this.inner.largestPacket;
  }

  set largestPacket(bytes: number) {
    this.inner.largestPacket = bytes;
  }

  replenish(): boolean {
    return this.inner.replenish();
  }

  readable(): boolean {
    return this.inner.readable();
  }

  writable(): boolean {
    return this.inner.writable();
  }

  moves(other: PacketOrigin): boolean {
    return this.inner.moves(other instanceof OwnershipChecker ? other.inner : other);
  }

  // Calls that take

  receive(batch: PacketBatch): number {
    return this.#take('receive', batch, () => this.inner.receive(batch));
  }

  allocate(batch: PacketBatch, count: number): number {
    return this.#take('allocate', batch, () => this.inner.allocate(batch, count));
  }

  completions(batch: PacketBatch): number {
    return this.#take('completions', batch, () => this.inner.completions(batch));
  }

  #take(call: OwnershipCall, batch: PacketBatch, take: () => number): number {
    const site = this.#enter(call);
    const count = take();
    for (let i = 0; i < count; i++) this.#taken(batch.offset[i]!, batch.size[i]!, site);
    if (count > 0) batch.origin = this.#originOf(batch);
    this.#leave();
    return count;
  }

  /** Where a batch of the inner rings comes from: they know of ours as theirs, and of others as what was told them in `send`. */
  #originOf({ offset, origin }: PacketBatch): PacketOrigin {
    if (!(origin instanceof SentOrigin) || this.#isOurs(offset[0]!)) return this;
    return origin.origin ?? origin;
  }

  /** Whether this is a place in the packet buffer or in the rings. */
  #isOurs(offset: number): boolean {
    return this.#ledger.frameAt(offset) >= 0 || this.#slots.contains(offset);
  }

  #taken(offset: number, bytes: number, site: OwnershipCallSite): void {
    const frame = this.#ledger.frameAt(offset);
    if (frame >= 0) {
      const before = this.#ledger.last(frame);
      if (!this.#ledger.take(frame, site)) this.#found('held-twice', site, before, offset, 'was handed out again');
    } else if (this.#slots.contains(offset)) {
      const before = this.#slots.take(offset, bytes, site);
      if (before === undefined) return;
      if (!before.sent) this.#found('held-twice', site, before.site, offset, 'was handed out again');
      else if (!this.#slots.unchanged(before)) this.#foundWritten(before);
    }
  }

  /** Packets that move out of a ring of V2 or V3 become frames: the place is given back, the frame taken. */
  hold(batch: PacketBatch): number {
    const { origin } = batch;
    if (origin instanceof OwnershipChecker && origin !== this) return origin.hold(batch);
    const site = this.#enter('hold');
    const seen = new Set<number>();
    keepEntries(batch, (i) => this.#mayGive(site, batch.offset[i]!, seen, origin));
    const before = batch.offset.slice(0, batch.length);
    if (batch.origin === this) batch.origin = this.inner;
    const count = this.inner.hold(batch);
    if (batch.length > 0) batch.origin = origin;
    for (let i = 0; i < batch.length; i++) {
      if (batch.offset[i] === before[i]) continue;
      this.#given(before[i]!, site);
      this.#taken(batch.offset[i]!, batch.size[i]!, site);
    }
    this.#leave();
    return count;
  }

  // Calls that give

  release(batch: PacketBatch): void {
    const site = this.#enter('release');
    const seen = new Set<number>();
    const { origin } = batch;
    keepEntries(batch, (i) => this.#mayGive(site, batch.offset[i]!, seen, origin));
    for (let i = 0; i < batch.length; i++) this.#given(batch.offset[i]!, site);
    if (origin === this) batch.origin = this.inner;
    this.inner.release(batch);
    this.#leave();
  }

  send(batch: PacketBatch): number {
    const site = this.#enter('send');
    const { origin } = batch;
    const before = batch.length;
    this.#dropWrongPackets(batch, site);
    const dropped = before - batch.length;
    const offset = batch.offset.slice(0, batch.length);
    const size = batch.size.slice(0, batch.length);
    const { copied, unsendable } = this.counters;
    // As the batch's origin we see what the inner rings give back instead of posting it: refused frames, and originals of copies.
    const refused = new Set<number>();
    const sentOrigin = this.#sentOrigin(origin);
    sentOrigin.whileSending = (back) => this.#takeBackRefused(back, refused, sentOrigin.origin, site);
    batch.origin = sentOrigin;
    const taken = this.inner.send(batch);
    sentOrigin.whileSending = undefined;
    batch.origin = batch.length > 0 ? origin : null;
    const certain = this.counters.copied === copied && this.counters.unsendable === unsendable;
    // Copies may have gone into slots that had come back.
    if (!certain) this.#slots.forgetSent();
    for (let i = 0; i < taken; i++) this.#sent(offset[i]!, size[i]!, site, refused, certain);
    this.#leave();
    return taken + dropped;
  }

  #sentOrigin(origin: PacketOrigin | null): SentOrigin {
    if (origin === null || origin instanceof SentOrigin) return this.#madeByProgram;
    let sentOrigin = this.#sentOrigins.get(origin);
    if (sentOrigin === undefined) {
      sentOrigin = new SentOrigin(origin);
      this.#sentOrigins.set(origin, sentOrigin);
    }
    return sentOrigin;
  }

  /** Leaves packets with a wrong entry out of the batch, and releases what else they are made of. */
  #dropWrongPackets(batch: PacketBatch, site: OwnershipCallSite): void {
    const { offset, flags, origin } = batch;
    const seen = new Set<number>();
    const wrong = new Set<number>();
    const orphans: number[] = [];
    for (let first = 0; first < batch.length; ) {
      let last = first;
      while (last + 1 < batch.length && (flags[last]! & PACKET_CONTINUES) !== 0) last++;
      const good: number[] = [];
      for (let i = first; i <= last; i++) if (this.#mayGive(site, offset[i]!, seen, origin)) good.push(offset[i]!);
      if (good.length <= last - first) {
        for (let i = first; i <= last; i++) wrong.add(i);
        orphans.push(...good);
      }
      first = last + 1;
    }
    keepEntries(batch, (i) => !wrong.has(i));
    if (batch.length > 0) batch.origin = origin;
    if (orphans.length > 0) this.#passBack(orphans, origin, site);
  }

  /** Whether the program may send or release what lies there; reports it if not. Call once for each entry of a batch. */
  #mayGive(site: OwnershipCallSite, offset: number, seen: Set<number>, origin: PacketOrigin | null): boolean {
    const frame = this.#ledger.frameAt(offset);
    if (frame < 0 && !this.#slots.contains(offset)) return this.#mayGiveForeign(site, offset, seen, origin);
    const owned = frame < 0 ? this.#slots.find(offset) : undefined;
    const key = frame >= 0 ? frame : -1 - (owned?.offset ?? offset);
    if (seen.has(key)) {
      this.#found(TWICE[site.call] ?? 'not-held', site, site, offset, `is in the batch of ${site} twice`);
      return false;
    }
    seen.add(key);
    const state = frame >= 0 ? this.#ledger.state(frame) : owned === undefined ? AWAY : owned.sent ? SENT : HELD;
    if (state === HELD) return true;
    // Frames of sockets that nobody checks are taken at their word.
    if (frame >= 0 && origin !== null && !(origin instanceof OwnershipChecker)) return true;
    const last = frame >= 0 ? this.#ledger.last(frame) : (owned?.site ?? this.#slots.last(offset));
    this.#found(kindOf(site.call, state, last), site, last, offset, storyOf(site, state, last));
    return false;
  }

  /** What lies neither in the buffer nor in the rings goes to where it came from, whose checker knows. */
  #mayGiveForeign(site: OwnershipCallSite, offset: number, seen: Set<number>, origin: PacketOrigin | null): boolean {
    if (origin instanceof OwnershipChecker && origin !== this) {
      if (site.call === 'release') return true; // it comes to that checker's own `release`
      if (origin.#ledger.frameAt(offset) >= 0 || origin.#slots.contains(offset)) {
        return origin.#mayGive(site, offset, seen, origin);
      }
    } else if (origin !== null && origin !== this && origin !== this.inner) {
      return true;
    } else if (origin === null && site.call === 'send') {
      return true; // a packet that the program has made somewhere in the arena: it is copied
    }
    this.#found('not-held', site, undefined, offset, `is none of this socket's, at ${site}`);
    return false;
  }

  #given(offset: number, site: OwnershipCallSite): void {
    const frame = this.#ledger.frameAt(offset);
    if (frame >= 0) {
      this.#ledger.giveBack(frame, site);
    } else if (this.#slots.contains(offset)) {
      const owned = this.#slots.find(offset);
      if (owned !== undefined) this.#slots.giveBack(owned, site);
      // The gap is filled with a packet behind it: sent slots move.
      if (this.#slots.toSend(offset)) this.#slots.forgetSent();
    }
  }

  #sent(offset: number, bytes: number, site: OwnershipCallSite, refused: Set<number>, certain: boolean): void {
    if (refused.has(offset)) return;
    const frame = this.#ledger.frameAt(offset);
    if (frame >= 0) {
      this.#ledger.send(frame, offset, bytes, site, this);
    } else if (this.#slots.contains(offset)) {
      const owned = this.#slots.find(offset);
      if (owned === undefined) return;
      this.#slots.giveBack(owned, site);
      if (certain && offset === owned.offset && this.#slots.toSend(offset)) this.#slots.send(owned, bytes, site);
    }
  }

  /** The inner `send` gives entries back: they are not on their way. */
  #takeBackRefused(
    batch: PacketBatch,
    refused: Set<number>,
    origin: PacketOrigin | null,
    site: OwnershipCallSite,
  ): void {
    const offsets = [...batch.offset.subarray(0, batch.length)];
    for (const offset of offsets) refused.add(offset);
    batch.length = 0;
    batch.origin = null;
    this.#passBack(offsets, origin, site);
  }

  /** Releases held entries: our own to the inner rings, others to where they came from. */
  #passBack(offsets: readonly number[], origin: PacketOrigin | null, site: OwnershipCallSite): void {
    const own = offsets.filter((offset) => this.#isOurs(offset));
    const others = offsets.filter((offset) => !this.#isOurs(offset));
    for (const offset of own) this.#given(offset, site);
    if (own.length > 0) this.inner.release(batchOf(own));
    if (others.length > 0 && origin !== null && origin !== this) {
      const batch = batchOf(others);
      batch.origin = origin;
      origin.release(batch);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const site = this.#enter('close');
    this.inner.close();
    for (const owned of this.#slots.held()) {
      this.#found('leak', site, owned.site, owned.offset, `was taken by ${owned.site} and never given back`);
    }
    this.#ledger.leave(this, site);
    this.#leave();
  }

  // Reports

  #found(
    kind: OwnershipViolationKind,
    site: OwnershipCallSite,
    before: OwnershipCallSite | undefined,
    offset: number,
    story: string,
  ): void {
    const number = this.#ledger.frameAt(offset);
    const slots = this.#slots.contains(offset);
    const frame = number >= 0 ? number : slots ? this.#slots.slotAt(offset) : -1;
    const what = number >= 0 ? `frame ${frame}` : slots ? `ring slot ${frame}` : `offset ${offset}`;
    this.report({ code: 'OWNERSHIP', kind, site, before, frame, offset, message: `${what} ${story}` });
  }

  #foundWritten({ site, offset }: OwnedSlot): void {
    this.#found('use-after-send', site, undefined, offset, `was written to after ${site}, before it came back`);
  }

  /** @internal also called by the ledger, for frames that this socket sent */
  report(violation: OwnershipViolation): void {
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push(violation);
    if (this.#tell !== undefined) this.#untold.push(violation);
    if (this.#depth === 0) this.#tellAll();
  }

  #enter(call: OwnershipCall): OwnershipCallSite {
    this.#depth++;
    return new OwnershipCallSite(call, this.#socket);
  }

  #leave(): void {
    this.#depth--;
    if (this.#depth === 0) this.#tellAll();
  }

  #tellAll(): void {
    while (this.#untold.length > 0) {
      const untold = this.#untold;
      this.#untold = [];
      for (const violation of untold) this.#tell?.(violation);
    }
  }
}

function kindOf(call: OwnershipCall, state: number, last: OwnershipCallSite | undefined): OwnershipViolationKind {
  if (call === 'send' && state === SENT) return 'double-post';
  if (call === 'release' && state === AWAY && last?.call === 'release') return 'double-release';
  return 'not-held';
}

function storyOf(site: OwnershipCallSite, state: number, last: OwnershipCallSite | undefined): string {
  if (last === undefined) return `is given to ${site}, but the program never took it`;
  if (state === SENT) return `is given to ${site}, but is on its way since ${last}`;
  return `is given to ${site}, but went back with ${last}`;
}

/** Keeps the entries that pass, in order. */
function keepEntries(batch: PacketBatch, pass: (index: number) => boolean): void {
  const { offset, size, flags, originalSize, outcome, seconds, nanoseconds, length, origin } = batch;
  let kept = 0;
  for (let i = 0; i < length; i++) {
    if (!pass(i)) continue;
    for (const column of [offset, size, flags, originalSize, outcome, seconds, nanoseconds]) column[kept] = column[i]!;
    kept++;
  }
  batch.length = kept;
  batch.origin = kept > 0 ? origin : null;
}

function batchOf(offsets: readonly number[]): PacketBatch {
  const batch = new PacketBatch(offsets.length);
  batch.offset.set(offsets);
  batch.length = offsets.length;
  return batch;
}
