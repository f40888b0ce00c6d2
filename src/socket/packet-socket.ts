import { PacketError } from '../errors.js';
import type { Binding, BusyPoll, DropPlace, Kernel, KernelSocket, Mode, TransmitMetadata } from '../kernel/contract.js';
import { eventLoop, eventLoopIsDue } from '../kernel/event-loop.js';
import { checkOptionNames } from '../options.js';
import type { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { OwnershipChecker } from '../ring/ownership-checker.js';
import { PACKET_CHECKSUM_NOT_READY, PACKET_TRUNCATED, PacketBatch } from '../ring/packet-batch.js';
import type { RingCounters, SocketRings } from '../ring/socket-rings.js';
import { requestChecksum, requestLaunchTime, requestTimestamp } from '../ring/xdp/transmit-metadata.js';
import { TransmitTimestamps } from '../ring/xdp/transmit-timestamps.js';
import type { Receive } from '../steering/rules.js';
import { checkWaitOptions, type SocketWaitOptions } from './wait-options.js';

/** A rung of the mode ladder that was refused, and why. */
export interface RefusedMode {
  /** The mode that was tried. */
  readonly mode: Mode;
  /** The {@link ErrorCode} of the refusal: QUEUE_SHARED, NO_DRIVER_ZEROCOPY, MODE_UNSUPPORTED, ... */
  readonly code: string;
  /** The error's message. */
  readonly why: string;
  /** What would have to change for this mode to work, as a sentence or a command. */
  readonly remedy: string;
}

/** What a socket got (brief: "Mode ladder"). */
export interface SocketMode {
  /** The mode that the socket works in, read back from the kernel. */
  readonly got: Mode;
  /** The better rungs, in the order they were tried. */
  readonly refused: readonly RefusedMode[];
  /** Whether the ordinary stack and other taps do not see the packets that this socket receives. */
  readonly exclusive: boolean;
}

/** Everything that is counted for a socket, in packets unless it says otherwise. */
export interface SocketStatistics extends RingCounters {
  /** What the kernel delivered to the socket. Of a packet of several frames that the program has not taken yet each frame counts. */
  readonly kernelReceived: number;
  /** What the kernel sent for it. Of a packet of several frames on its way out all frames but one are taken off. */
  readonly kernelSent: number;
  /** System calls that moved and awaited these packets (F1): kicks, and poll(2) of blocking waits. The soft kernel makes none. */
  readonly systemCalls: number;
  /** Lost packets by the place where they were lost; see DROP_PLACES for which the socket can know of, and where the others are. */
  readonly drops: Readonly<Partial<Record<DropPlace, number>>>;
}

/** One packet, as the friendly door gives it: valid until the next one is asked for. */
export interface Packet {
  /** The packet's bytes where they lie; copy them to keep them. A packet of several frames gives its first part. */
  readonly data: Uint8Array;
  /** Arena offset of its first byte, an index into `socket.bytes`. */
  readonly offset: number;
  /** Bytes that are here: `data.length`. */
  readonly size: number;
  /** Bytes that the packet had: more than `size` where the ring had no room for all of it (V2, V3). */
  readonly originalSize: number;
  /** False where a checksum is still to be filled in (V2 and V3 on Linux; see PACKET_CHECKSUM_NOT_READY). */
  readonly checksumReady: boolean;
  /** When it was received, where the ring tells (V2, V3), in seconds since 1970. */
  readonly time: number;
}

const SPIN_MICROSECONDS = 50;
const BUSY_TIMEOUT_MILLISECONDS = 1000;
/** How often a wait looks for free frames while the kernel has none of this socket's: no event tells of them. */
const STARVED_MILLISECONDS = 1;

/** Packets of an iteration between looks at the clock, a power of two. */
const PACKETS_PER_LOOK = 8;

/**
 * A packet socket: what programs hold. Once it is open, a program is an ordinary loop: read packets, process them, write them (S7).
 *
 *     while (await socket.wait()) {
 *       socket.receive(batch);                       // packets lie at socket.bytes[batch.offset[i]] and on, batch.size[i] bytes
 *       process(batch);
 *       socket.send(batch);                          // or release(batch), or hold on to it
 *     }
 *
 * The fast door works on batches, makes no system call of its own (I1) and never throws; the friendly door iterates over packets.
 * Made by `openSocket`. A socket belongs to one thread.
 */
export class PacketSocket {
  /** The kernel that it is a socket of; stays open when the socket is closed. */
  readonly kernel: Kernel;
  /** Name of the interface. */
  readonly interface: string;
  /** What was got of the modes asked for, and why not a better one. */
  readonly mode: SocketMode;
  /** The queue pair it is bound to; undefined for all of them. */
  readonly queue: number | undefined;
  /** The arena's bytes: packets lie at the offsets that batches give. */
  readonly bytes: Uint8Array;
  /** The frames: its own, closed with it, or the one given when it was opened. */
  readonly buffer: PacketBuffer;
  /** Largest packet that can be sent, in bytes with its Ethernet header. */
  readonly largestPacket: number;
  /** Busy polling as it was granted; undefined where it was not asked for. */
  readonly busyPoll: BusyPoll | undefined;
  /**
   * Where the times of sent packets come from: `device`, its clock as the packet left; or `kernel`, its clock (TAI) as it let go of the
   * packet's copy, which is when the device was done with it. Undefined where they were not asked for.
   */
  readonly transmitTimestamps: 'device' | 'kernel' | undefined;
  /** The user side of its rings, with their `counters`. */
  readonly rings: SocketRings;
  readonly #kernelSocket: KernelSocket;
  readonly #ownsBuffer: boolean;
  readonly #onClose: (() => Promise<void>) | undefined;
  readonly #metadata: TransmitMetadata;
  readonly #timestamps: TransmitTimestamps | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;
  readonly #readable = (): boolean => this.#closed || this.rings.readable();
  readonly #writable = (): boolean => this.#closed || this.rings.writable();
  readonly #either = (): boolean => this.#closed || this.rings.readable() || this.rings.writable();

  /** @internal use `openSocket` */
  constructor(parts: {
    kernel: Kernel;
    interface: string;
    refused: readonly RefusedMode[];
    binding: Binding;
    busyPoll: BusyPoll | undefined;
    kernelSocket: KernelSocket;
    rings: SocketRings;
    buffer: PacketBuffer;
    ownsBuffer: boolean;
    metadata: TransmitMetadata;
    onClose: (() => Promise<void>) | undefined;
  }) {
    const { kernel, binding } = parts;
    this.kernel = kernel;
    this.interface = parts.interface;
    this.mode = { got: binding.mode, refused: parts.refused, exclusive: binding.exclusive };
    this.queue = binding.queue;
    this.bytes = kernel.arena.u8;
    this.buffer = parts.buffer;
    this.largestPacket = binding.largestPacket;
    this.busyPoll = parts.busyPoll;
    this.rings = parts.rings;
    this.#kernelSocket = parts.kernelSocket;
    this.#ownsBuffer = parts.ownsBuffer;
    this.#metadata = parts.metadata;
    this.#timestamps = parts.metadata.timestamps ? new TransmitTimestamps(parts.buffer) : undefined;
    this.transmitTimestamps = binding.transmitTimestamps;
    this.#onClose = parts.onClose;
  }

  /** The frame-ownership checker, where the socket was opened with `checkOwnership`. */
  get ownership(): OwnershipChecker | undefined {
    return this.rings instanceof OwnershipChecker ? this.rings : undefined;
  }

  /** See {@link SocketRings.receive}. */
  receive(batch: PacketBatch): number {
    return this.#closed ? 0 : this.rings.receive(batch);
  }

  /** See {@link SocketRings.hold}. */
  hold(batch: PacketBatch): number {
    return this.#closed ? 0 : this.rings.hold(batch);
  }

  /** See {@link SocketRings.release}. */
  release(batch: PacketBatch): void {
    if (!this.#closed) this.rings.release(batch);
    else this.#releaseLate(batch);
  }

  /** The rings are gone, the program still held a batch: its frames go to the pool, ring slots went with the rings. */
  #releaseLate(batch: PacketBatch): void {
    const { buffer, rings } = this;
    const { origin, offset, length } = batch;
    if (origin !== null && origin !== rings) {
      origin.release(batch);
      return;
    }
    if (!buffer.closed) {
      const frames = offset.subarray(0, length).filter((at) => buffer.contains(at));
      buffer.pool.give(
        frames.map((at) => at & buffer.frameMask),
        0,
        frames.length,
      );
    }
    batch.length = 0;
    batch.origin = null;
  }

  /** See {@link SocketRings.allocate}. */
  allocate(batch: PacketBatch, count: number = batch.capacity): number {
    return this.#closed ? 0 : this.rings.allocate(batch, count);
  }

  /** See {@link SocketRings.send}. */
  send(batch: PacketBatch): number {
    if (this.#closed) return 0;
    const timestamps = this.#timestamps;
    if (timestamps === undefined) return this.rings.send(batch);
    timestamps.posting(batch);
    const sent = this.rings.send(batch);
    timestamps.left(batch);
    return sent;
  }

  /**
   * Asks for the checksum (F11, Q5) of a packet that is about to be sent here, on a socket opened with `transmitChecksums`. Bytes count from the
   * packet's first. The request is written into the 24 bytes in front of the packet, and counts for packets that are sent without a copy.
   *
   * @param index the packet's entry in the batch
   * @param start from where on to sum up, to the packet's end: UDP behind IPv4 without options 34
   * @param field where the checksum belongs, from `start`: UDP 6, TCP 16. It must hold the sum of the pseudo header, not complemented
   * @returns whether it was asked for; false when the socket was opened without, there is no room in front, or the field is outside
   */
  requestChecksum(batch: PacketBatch, index: number, start: number, field: number): boolean {
    return this.#metadata.checksums && requestChecksum(this.buffer, batch, index, start, field);
  }

  /**
   * Asks when a packet that is about to be sent here is sent, on a socket opened with `transmitTimestamps`: `completions` says, in the
   * batch's `seconds` and `nanoseconds`, by the clock that `transmitTimestamps` names. Of a packet of several frames the first one asks.
   *
   * @param index the packet's entry in the batch
   * @returns whether it was asked for; false when the socket was opened without, or there is no room in front (24 bytes)
   */
  requestTimestamp(batch: PacketBatch, index: number): boolean {
    return this.#metadata.timestamps && requestTimestamp(this.buffer, batch, index);
  }

  /**
   * Asks the device to send a packet at a time of its own clock (that of the soft kernel, since 1970), on a socket opened with `launchTimes`.
   * The kernel converts no clocks and changes no order; on Linux the device must have been set up for it (by `tc`, qdisc etf with offload).
   *
   * @param index the packet's entry in the batch
   * @param seconds whole ones since the clock's beginning, from 0 to 2^32 - 1
   * @param nanoseconds from 0 to 999,999,999
   * @returns whether it was asked for; false when the socket was opened without, there is no room in front (24 bytes), or no such time
   */
  requestLaunchTime(batch: PacketBatch, index: number, seconds: number, nanoseconds: number): boolean {
    return this.#metadata.launchTimes && requestLaunchTime(this.buffer, batch, index, seconds, nanoseconds);
  }

  /** See {@link SocketRings.completions}. */
  completions(batch: PacketBatch): number {
    if (this.#closed) return 0;
    const count = this.rings.completions(batch);
    this.#timestamps?.completed(batch);
    return count;
  }

  /** Whether sending this batch here moves its frames rather than copying them (I5). */
  movable(batch: PacketBatch): boolean {
    return batch.movable(this.rings);
  }

  /**
   * Waits until there is something to receive (or room to send). Does not block the event loop, unless asked to (`busy`): a loop
   * that waits before each `receive` lets timers and signals run every millisecond even when packets never cease. One that
   * waits only after an empty `receive` may never get there.
   *
   * @returns whether there is; false when the time is over or the socket was closed
   * @throws the signal's reason when it is aborted; PacketError INVALID_OPTION; on Linux NO_INTERFACE when the interface vanishes
   */
  async wait(options: SocketWaitOptions = {}): Promise<boolean> {
    checkWaitOptions(options);
    const { strategy, signal } = options;
    signal?.throwIfAborted();
    const ready = this.#readiness(options.for);
    if (!ready()) {
      const woken = strategy === 'busy' ? this.waitBlocking(options) : await this.#sleep(ready, options);
      if (!woken) return false;
    }
    if (eventLoopIsDue()) {
      await eventLoop();
      signal?.throwIfAborted();
    }
    return !this.#closed;
  }

  async #sleep(ready: () => boolean, options: SocketWaitOptions): Promise<boolean> {
    const { strategy, timeoutMilliseconds, signal } = options;
    const spinNanoseconds = strategy === 'hybrid' ? (options.spinMicroseconds ?? SPIN_MICROSECONDS) * 1000 : 0;
    for (let left = timeoutMilliseconds; ; ) {
      const slice = this.#slice(left);
      if (await this.#kernelSocket.wait(ready, { timeoutMilliseconds: slice, signal, spinNanoseconds })) return true;
      if (slice === left || this.kernel.ended) return false;
      if (left !== undefined) left -= STARVED_MILLISECONDS;
    }
  }

  /** The part of a wait after which to look again; all of it, unless the socket waits for frames to receive into. */
  #slice<Time extends number | undefined>(left: Time): Time | number {
    if (this.#closed || this.rings.replenish() || (left !== undefined && !(left > STARVED_MILLISECONDS))) return left;
    return STARVED_MILLISECONDS;
  }

  /**
   * The same, blocking this thread: `busy` spins, everything else sleeps in the kernel. For threads of their own. Without a time-out
   * it waits for 1000 milliseconds; the signal is not looked at.
   *
   * @returns whether there is something; false when the time is over or the socket was closed
   * @throws PacketError INVALID_OPTION; on Linux NO_INTERFACE when the interface vanishes
   */
  waitBlocking(options: SocketWaitOptions = {}): boolean {
    checkWaitOptions(options);
    const ready = this.#readiness(options.for);
    const how = options.strategy === 'busy' ? 'busy' : 'sleep';
    for (let left = options.timeoutMilliseconds ?? BUSY_TIMEOUT_MILLISECONDS; ; left -= STARVED_MILLISECONDS) {
      const slice = this.#slice(left);
      if (this.#kernelSocket.waitBlocking(ready, { timeoutMilliseconds: slice, how })) break;
      if (slice === left || this.kernel.ended) return false;
    }
    return !this.#closed;
  }

  #readiness(what: SocketWaitOptions['for'] = 'receive'): () => boolean {
    switch (what) {
      case 'receive':
        return this.#readable;
      case 'send':
        return this.#writable;
      case 'either':
        return this.#either;
    }
  }

  /**
   * Changes what the socket receives, while traffic runs (Q4). When it is refused, everything stays as it was.
   *
   * @throws PacketError SOCKET_CLOSED, INVALID_OPTION, WRONG_STATE on a socket that was opened to send only, RULES_UNSUPPORTED,
   *   FLOW_TABLE_FULL, QUEUE_SHARED (zero-copy on the only queue)
   */
  async steer(receive: Receive): Promise<void> {
    this.#expectOpen();
    await this.#kernelSocket.steer(receive);
  }

  /** What was received, sent, copied, refused and lost so far, in packets. @throws PacketError SOCKET_CLOSED */
  async statistics(): Promise<SocketStatistics> {
    this.#expectOpen();
    const { received, sent, drops, systemCalls = 0 } = await this.#kernelSocket.statistics();
    const { counters } = this.rings;
    return {
      ...counters,
      kernelReceived: received - (counters.receivedFrames - counters.received),
      kernelSent: Math.max(0, sent - (counters.sentFrames - counters.sent)),
      systemCalls,
      drops,
    };
  }

  /**
   * Iterates over received packets until the socket is closed or the signal is aborted, without an error. Frames go back by
   * themselves. However many packets there are, the event loop runs about every millisecond.
   *
   * @param options `batch`: most packets taken from the ring at a time, 1 to 65536; default 64
   * @throws PacketError INVALID_OPTION; on Linux NO_INTERFACE when the interface vanishes
   */
  async *packets(
    options: { readonly signal?: AbortSignal; readonly batch?: number } = {},
  ): AsyncGenerator<Packet, void, void> {
    checkOptionNames('packets', options, ['signal', 'batch']);
    const batch = new PacketBatch(options.batch ?? 64);
    const { signal } = options;
    const packet = { data: this.bytes, offset: 0, size: 0, originalSize: 0, checksumReady: true, time: 0 };
    try {
      while (!this.#closed && !signal?.aborted) {
        if (this.receive(batch) === 0) {
          try {
            await this.wait(signal === undefined ? {} : { signal });
          } catch (reason) {
            if (signal?.aborted) return;
            throw reason;
          }
          continue;
        }
        for (let i = 0; i < batch.length; i++) {
          packet.offset = batch.offset[i]!;
          packet.size = batch.size[i]!;
          const cut = (batch.flags[i]! & PACKET_TRUNCATED) !== 0;
          packet.originalSize = cut ? batch.originalSize[i]! : packet.size;
          packet.checksumReady = (batch.flags[i]! & PACKET_CHECKSUM_NOT_READY) === 0;
          packet.data = this.bytes.subarray(packet.offset, packet.offset + packet.size);
          packet.time = batch.seconds[i]! + batch.nanoseconds[i]! / 1e9;
          yield packet;
          if ((i & (PACKETS_PER_LOOK - 1)) === 0 && eventLoopIsDue()) await eventLoop();
          if (signal?.aborted) return;
        }
        this.release(batch);
      }
    } finally {
      this.release(batch);
    }
  }

  /** `for await (const packet of socket)`: {@link PacketSocket.packets} without options. */
  [Symbol.asyncIterator](): AsyncGenerator<Packet, void, void> {
    return this.packets();
  }

  #expectOpen(): void {
    if (this.#closed) throw new PacketError('SOCKET_CLOSED', 'the socket is closed', { remedy: 'open another' });
  }

  /**
   * Lets go of the interface and gives the rings' frames back to the packet buffer. Batches that the program still holds stay
   * its own. Idempotent: every call waits for the same end.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed = true;
    await this.#kernelSocket.unbind();
    this.rings.close();
    await this.#kernelSocket.close();
    this.buffer.drop();
    if (this.#ownsBuffer) this.buffer.close();
    await this.#onClose?.();
  }

  /** `await using`: {@link PacketSocket.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
