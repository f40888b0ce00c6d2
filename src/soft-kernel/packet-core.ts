import type { QueueEnds, ReceiveHook } from '../driver/contract.js';
import { PacketError } from '../errors.js';
import {
  createFlowKey,
  FLOW_DESTINATION,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_SOURCE,
  FLOW_VERSION_MASK,
  FLOW_VERSION_SHIFT,
  type FlowKey,
  parseFlowKey,
} from '../packet/flow-key.js';
import { CONTINUES, MOST_PARTS, type PacketArray } from '../packet-array/packet-array.js';
import { PacketList } from '../packet-array/packet-list.js';
import type { KernelRings } from '../ring/kernel-rings.js';
import { isFiltered } from '../steering/filtered.js';
import { FlowTable } from '../steering/flow-table.js';
import { hasOtherTargets } from '../steering/rule-targets.js';
import type { FlowRule, SteeredPackets } from '../steering/rules.js';
import { DROPPED, FilteredListeners } from './filtered-listeners.js';
import { PAGE_FRAME_BYTES, PAGE_ROOM, type PagePool } from './page-pool.js';

/** Packets gathered for one rule-matching socket before they are copied to it. */
const GATHER = 128;
/** Packets listed at a time for those who see everything. */
const LIST = 512;

// Private copies: V8 folds them into the code, imported constants it loads from their module wherever they are used.
const CONTINUES_NEXT = CONTINUES;
const MOST = MOST_PARTS;
const LINK = FLOW_LINK;
const NETWORK = FLOW_NETWORK;
const PORTS = FLOW_PORTS;
const SOURCE = FLOW_SOURCE;
const DESTINATION = FLOW_DESTINATION;
const VERSION = FLOW_VERSION_MASK;
const VERSION_6 = 6 << FLOW_VERSION_SHIFT;

/** A socket in copy mode, as the packet core sees it. */
export class Listener {
  /** Packets on their way to this socket. */
  gathered: PacketList | undefined;
  /** Its rules in the core's flow table. */
  handles: number[] = [];
  number = -1;
  /** Packets that its rules have dropped. */
  ruleDrops = 0;

  constructor(
    readonly rings: KernelRings,
    /** Queue to listen on; -1 for all. */
    readonly queue: number,
    /** AF_XDP: takes the packet away from everybody else. AF_PACKET: gets a copy. */
    readonly exclusive: boolean,
  ) {}
}

/** Takes what a rule drops. */
const NOBODY = new Listener({} as KernelRings, -1, true);

/** The ordinary stack's end: it takes what is left. Here it counts, and lets a test look. */
export class HostStack {
  packets = 0;
  bytes = 0;
  /** Called with each batch when set; the packets are valid during the call only. */
  observe: ((packets: PacketList) => void) | undefined;

  receive(packets: PacketList): void {
    const { length, flags, count } = packets;
    let bytes = 0;
    let whole = 0;
    for (let i = 0; i < count; i++) {
      bytes += length[i]!;
      if ((flags[i]! & CONTINUES_NEXT) === 0) whole++;
    }
    this.bytes += bytes;
    this.packets += whole;
    this.observe?.(packets);
  }
}

/**
 * The packet core of one device: where packets of ordinary queues go (copy mode, Q2). AF_XDP sockets take theirs away, as XDP
 * does; AF_PACKET sockets (V2, V3, V4) get a copy each, and the ordinary stack sees the packet too.
 *
 *     array --flush--> AF_XDP socket with a matching rule or filter? --yes--> copied to it, done
 *                        | no
 *                        +--> copy to every AF_PACKET socket that wants it --> ordinary stack --> frame back to the page pool
 */
export class PacketCore {
  readonly stack = new HostStack();
  readonly #u8: Uint8Array;
  readonly #list = new PacketList(LIST);
  /** Flow of the packet at hand, and of the one before: most packets are of the same, and so for the same sockets. */
  readonly #key = createFlowKey();
  readonly #otherKey = createFlowKey();
  /** As many as there are listeners. */
  #matches = new Int32Array(64);
  readonly #listeners: (Listener | undefined)[] = [];
  /** AF_PACKET sockets that see everything. */
  readonly #taps: Listener[] = [];
  /** AF_XDP sockets that take everything of their queue. */
  readonly #takers = new Map<number, Listener>();
  /** Rules of the others; the target is the listener's number. */
  readonly #tapRules = new FlowTable();
  readonly #takerRules = new FlowTable();
  /** Listeners with filter expressions, or rules that have exceptions. */
  readonly #tapFilters = new FilteredListeners();
  readonly #takerFilters = new FilteredListeners();
  /** Listeners with packets gathered in the batch at hand. */
  readonly #gathering: Listener[] = [];
  /** Lists for gathering; last in, first out, so that few are in use and in the cache, however many listeners there are. */
  readonly #spareLists: PacketList[] = [];
  #program: ReceiveHook | undefined;
  /** By queue: where packets go that the program passes on. */
  readonly #endsBehind = new Map<number, QueueEnds['receive']>();
  /** The time that delivered packets are stamped with. */
  #seconds = 0;
  #nanoseconds = 0;

  constructor(
    u8: Uint8Array,
    private readonly pool: PagePool,
  ) {
    this.#u8 = u8;
  }

  /** Sets the time of reception of what is flushed next. */
  setTime(seconds: number, nanoseconds: number): void {
    this.#seconds = seconds;
    this.#nanoseconds = nanoseconds;
  }

  /** @throws PacketError QUEUE_BUSY, INVALID_OPTION, FLOW_TABLE_FULL */
  add(listener: Listener, receive: SteeredPackets): void {
    const free = this.#listeners.indexOf(undefined);
    listener.number = free < 0 ? this.#listeners.length : free;
    this.#listeners[listener.number] = listener;
    if (this.#matches.length < this.#listeners.length) this.#matches = new Int32Array(2 * this.#listeners.length);
    try {
      this.steer(listener, receive);
    } catch (error) {
      this.#listeners[listener.number] = undefined;
      throw error;
    }
  }

  remove(listener: Listener): void {
    this.#unsteer(listener);
    this.#listeners[listener.number] = undefined;
  }

  /** Whether an AF_XDP socket takes packets of this queue. */
  takes(queue: number): boolean {
    const takers = this.#listeners.filter((listener) => listener?.exclusive && listener.queue === queue);
    return (
      this.#takers.has(queue) ||
      takers.some((listener) => listener!.handles.length > 0 || this.#takerFilters.has(listener!))
    );
  }

  /** Changes what a listener receives. New rules are in place before the old ones go. */
  steer(listener: Listener, receive: SteeredPackets): void {
    if (listener.exclusive && receive === 'all') {
      const holder = this.#takers.get(listener.queue);
      if (holder !== undefined && holder !== listener) {
        throw new PacketError(
          'QUEUE_BUSY',
          `another AF_XDP socket already takes everything of queue ${listener.queue}`,
          {
            remedy: 'close it, bind to another queue, or give both sockets rules',
          },
        );
      }
    }
    const table = listener.exclusive ? this.#takerRules : this.#tapRules;
    const filter = isFiltered(receive) || hasOtherTargets(receive) ? FilteredListeners.compile(receive) : undefined;
    const handles: number[] = [];
    try {
      if (filter === undefined && typeof receive !== 'string') {
        for (const rule of receive as readonly FlowRule[]) handles.push(table.add(rule, listener.number));
      }
    } catch (error) {
      for (const handle of handles) table.remove(handle);
      throw error;
    }
    this.#unsteer(listener);
    listener.handles = handles;
    if (filter !== undefined) (listener.exclusive ? this.#takerFilters : this.#tapFilters).add(listener, filter);
    if (receive !== 'all') return;
    if (listener.exclusive) this.#takers.set(listener.queue, listener);
    else this.#taps.push(listener);
  }

  #unsteer(listener: Listener): void {
    const table = listener.exclusive ? this.#takerRules : this.#tapRules;
    for (const handle of listener.handles) table.remove(handle);
    listener.handles = [];
    this.#takerFilters.remove(listener);
    this.#tapFilters.remove(listener);
    const tap = this.#taps.indexOf(listener);
    if (tap >= 0) this.#taps.splice(tap, 1);
    if (this.#takers.get(listener.queue) === listener) this.#takers.delete(listener.queue);
  }

  /** Has packets meet a program first (the hook `generic`), or with `undefined` none. */
  setProgram(program: ReceiveHook | undefined): void {
    this.#program = program;
  }

  /** The sink of an ordinary queue: sees to the first `count` done entries, takes the frames back. */
  flush(queue: number, array: PacketArray, count: number): void {
    if (this.#program === undefined) this.deliver(queue, array, count);
    else this.#program.flush(queue, array, count, this.#endBehindProgram(queue));
  }

  #endBehindProgram(queue: number): QueueEnds['receive'] {
    let end = this.#endsBehind.get(queue);
    if (end === undefined) {
      const { pool } = this;
      end = {
        room: PAGE_ROOM,
        frameBytes: PAGE_FRAME_BYTES,
        framePool: pool,
        populate: (array, limit) => pool.populate(array, limit),
        flush: (array, count) => this.deliver(queue, array, count),
        recycle: (frames, count) => pool.recycle(frames, count),
      };
      this.#endsBehind.set(queue, end);
    }
    return end;
  }

  /** The same past any program. */
  deliver(queue: number, array: PacketArray, count: number): void {
    const end = (array.start + count) | 0;
    const taker = this.#takers.get(queue);
    const filters = this.#tapFilters.size + this.#takerFilters.size;
    if (this.#tapRules.size === 0 && this.#takerRules.size === 0 && filters === 0) {
      for (let i = array.start; i !== end; ) {
        i = this.#gatherAll(array, i, end);
        if (taker !== undefined) taker.rings.deliver(this.#list);
        else this.#deliverToAll(queue);
      }
    } else {
      for (let i = array.start; i !== end; ) {
        i = this.#gatherByRules(queue, array, i, end, taker);
        this.#deliverToAll(queue);
        this.#deliverGathered();
      }
    }
    this.pool.reclaim(array, end);
  }

  #startList(list: PacketList): PacketList {
    list.count = 0;
    return this.stamp(list);
  }

  /** Sets the time of reception of a list that is delivered past the core. */
  stamp(list: PacketList): PacketList {
    list.seconds = this.#seconds;
    list.nanoseconds = this.#nanoseconds;
    return list;
  }

  #gatherAll(array: PacketArray, from: number, end: number): number {
    const { address, length, flags, mask } = array;
    const list = this.#startList(this.#list);
    let i = from;
    for (; i !== end && list.count < LIST; i = (i + 1) | 0) {
      const at = i & mask;
      list.add(address[at]!, length[at]!, flags[at]! & CONTINUES_NEXT);
    }
    // A packet that the end of the list would cut in two is for the next list.
    while (i !== end && list.count > 0 && (list.flags[list.count - 1]! & CONTINUES_NEXT) !== 0) {
      list.count--;
      i = (i - 1) | 0;
    }
    return i;
  }

  /** Lists packets for those who see everything, and gathers each for the sockets whose rules or filters want it. */
  #gatherByRules(queue: number, array: PacketArray, from: number, end: number, taker: Listener | undefined): number {
    const { address, length, flags, mask } = array;
    const list = this.#startList(this.#list);
    const matches = this.#matches;
    const listeners = this.#listeners;
    const u8 = this.#u8;
    let key = this.#key;
    let previous = this.#otherKey;
    let ruled: Listener | undefined;
    let found = -1; // of the flow before: not looked up yet
    const filtered = this.#tapFilters.size + this.#takerFilters.size > 0;
    let i = from;
    while (i !== end && list.count < LIST - MOST) {
      const at = i & mask;
      parseFlowKey(u8, address[at]!, length[at]!, key);
      if (found < 0 || !equalKeys(key, previous)) {
        ruled = this.#takerOf(queue, key);
        found = ruled === undefined && taker === undefined ? this.#tapsOf(queue, key) : 0;
      }
      const parsed = key;
      key = previous;
      previous = parsed;
      let last = i;
      while ((flags[last & mask]! & CONTINUES_NEXT) !== 0 && ((last + 1) | 0) !== end) last = (last + 1) | 0;
      const owner = ruled ?? (filtered ? this.#filterTakerOf(queue, array, i, last) : undefined) ?? taker;
      if (owner === NOBODY) {
        // Dropped, and counted.
      } else if (owner !== undefined) this.#gather(owner, array, i, last);
      else {
        for (let m = 0; m < found; m++) this.#gather(listeners[matches[m]!]!, array, i, last);
        if (filtered) this.#gatherFiltered(queue, array, i, last);
      }
      const next = (last + 1) | 0;
      if (owner === undefined) {
        for (; i !== next; i = (i + 1) | 0) {
          const part = i & mask;
          list.add(address[part]!, length[part]!, flags[part]! & CONTINUES_NEXT);
        }
      }
      i = next;
    }
    return i;
  }

  /** The AF_XDP socket of this queue whose rule matches; the most specific one. */
  #takerOf(queue: number, key: FlowKey): Listener | undefined {
    if (this.#takerRules.size === 0) return undefined;
    const found = this.#takerRules.lookupAll(key, this.#matches);
    for (let m = 0; m < found; m++) {
      const listener = this.#listeners[this.#matches[m]!];
      if (listener !== undefined && listener.queue === queue) return listener;
    }
    return undefined;
  }

  /** The AF_XDP socket of this queue whose filter accepts the packet from entry `first` to entry `last`, the one that asked first; or nobody, when it drops it. */
  #filterTakerOf(queue: number, array: PacketArray, first: number, last: number): Listener | undefined {
    const filters = this.#takerFilters;
    if (filters.size === 0) return undefined;
    const at = first & array.mask;
    const bytes = wireLength(array, first, last);
    const found = filters.find(0, queue, this.#u8, array.address[at]!, array.length[at]!, bytes);
    if (found < 0) return undefined;
    const listener = filters.at(found);
    if (filters.verdict !== DROPPED) return listener;
    listener.ruleDrops++;
    return NOBODY;
  }

  /** Gathers the packet for the AF_PACKET sockets whose filters accept it. */
  #gatherFiltered(queue: number, array: PacketArray, first: number, last: number): void {
    const filters = this.#tapFilters;
    const at = first & array.mask;
    const bytes = wireLength(array, first, last);
    for (let next = 0; next < filters.size; next++) {
      next = filters.find(next, queue, this.#u8, array.address[at]!, array.length[at]!, bytes);
      if (next < 0) return;
      this.#gather(filters.at(next), array, first, last);
    }
  }

  /** Leaves in `#matches` the numbers of the AF_PACKET sockets whose rules match, and which listen to this queue. */
  #tapsOf(queue: number, key: FlowKey): number {
    if (this.#tapRules.size === 0) return 0;
    const matches = this.#matches;
    const found = this.#tapRules.lookupAll(key, matches);
    let kept = 0;
    for (let m = 0; m < found; m++) {
      const listener = this.#listeners[matches[m]!];
      if (listener !== undefined && (listener.queue < 0 || listener.queue === queue)) matches[kept++] = matches[m]!;
    }
    return kept;
  }

  #gather(listener: Listener, array: PacketArray, first: number, last: number): void {
    const { address, length, flags, mask } = array;
    let list = listener.gathered;
    if (list === undefined) {
      list = this.#startList(this.#spareLists.pop() ?? new PacketList(GATHER));
      listener.gathered = list;
      this.#gathering.push(listener);
    } else if (list.count + MOST > GATHER) {
      listener.rings.deliver(list);
      list.count = 0;
    }
    for (let part = first; part !== ((last + 1) | 0); part = (part + 1) | 0) {
      const p = part & mask;
      list.add(address[p]!, length[p]!, flags[p]! & CONTINUES_NEXT);
    }
  }

  #deliverGathered(): void {
    const gathering = this.#gathering;
    for (let i = 0; i < gathering.length; i++) {
      const listener = gathering[i]!;
      const list = listener.gathered!;
      if (list.count > 0) listener.rings.deliver(list);
      listener.gathered = undefined;
      this.#spareLists.push(list);
    }
    // Not by setting the length: that gives the memory back, and the next `push` allocates.
    while (gathering.length > 0) gathering.pop();
  }

  #deliverToAll(queue: number): void {
    if (this.#list.count === 0) return;
    for (let i = 0; i < this.#taps.length; i++) {
      const tap = this.#taps[i]!;
      if (tap.queue < 0 || tap.queue === queue) tap.rings.deliver(this.#list);
    }
    this.stack.receive(this.#list);
  }
}

/** Whether two packets are of one flow. Only IPv6 fills the words that come last. */
function equalKeys(a: FlowKey, b: FlowKey): boolean {
  if (a[SOURCE] !== b[SOURCE] || a[DESTINATION] !== b[DESTINATION] || a[PORTS] !== b[PORTS]) return false;
  if (a[NETWORK] !== b[NETWORK] || a[LINK] !== b[LINK]) return false;
  return (a[NETWORK]! & VERSION) !== VERSION_6 || equalAddresses(a, b);
}

function equalAddresses(a: FlowKey, b: FlowKey): boolean {
  for (let word = 0; word < 4; word++) {
    if (a[SOURCE + word] !== b[SOURCE + word] || a[DESTINATION + word] !== b[DESTINATION + word]) return false;
  }
  return true;
}

/** Bytes of a packet from entry `first` to entry `last`. */
function wireLength({ length, mask }: PacketArray, first: number, last: number): number {
  let bytes = length[last & mask]!;
  for (let i = first; i !== last; i = (i + 1) | 0) bytes += length[i & mask]!;
  return bytes;
}
