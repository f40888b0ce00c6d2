import type { Driver } from '../driver/contract.js';
import { NO_END } from '../driver/no-end.js';
import { PacketError } from '../errors.js';
import type { Direction, DropPlace, MemoryRegistration, Mode } from '../kernel/contract.js';
import { LINK_OVERHEAD_BYTES, noQueue } from '../nic/soft-nic.js';
import { MOST_PARTS } from '../packet-array/packet-array.js';
import { KERNEL_HEADROOM_BYTES } from '../packet-buffer/packet-buffer.js';
import type { KernelRings } from '../ring/kernel-rings.js';
import { isFiltered } from '../steering/filtered.js';
import type { FlowRule, SteeredPackets } from '../steering/rules.js';
import { CopyTransmitter } from './copy-transmitter.js';
import type { Device } from './device.js';
import { OwnDrops } from './own-drops.js';
import { Listener } from './packet-core.js';
import { ProgramFeed } from './programs/program-feed.js';
import { RedirectedEnd } from './programs/redirected-end.js';
import type { RedirectSocket } from './programs/redirections.js';
import { SoftMap } from './programs/soft-map.js';
import type { CheckedBindRequest, WantedPackets } from './requests.js';

/** How a bound socket's rings hang on a device. */
export interface Attachment {
  readonly mode: Mode;
  readonly queue: number | undefined;
  /**
   * Zero-copy: the driver, whose `service` for the queue is all that `service` does here. Sockets call it themselves: with thousands
   * of them each object on the way is a cache miss, and a detour of three costs 7 ns a packet.
   */
  readonly driver?: Driver;
  /** Takes what the application has posted, for both directions unless one is named; returns frames taken. */
  service(direction?: Direction): number;
  /** Whether there is something for `service`. */
  posted(): boolean;
  steer(receive: WantedPackets): void;
  /** What redirections find, while the socket is in a map of sockets. */
  redirectSocket(): RedirectSocket | undefined;
  /** Drops that the attachment knows of and the rings do not. */
  drops(): Partial<Record<DropPlace, number>>;
  detach(): void;
}

/**
 * Zero-copy: the rings become the ends of a queue pair's packet arrays (S4, K1).
 *
 * @param socket its number in the kernel
 * @throws PacketError NO_DRIVER_ZEROCOPY, NO_QUEUE, QUEUE_BUSY, QUEUE_SHARED, FRAME_TOO_SMALL, RULES_UNSUPPORTED, INTERFACE_BUSY, MAP_FULL,
 *   MODE_UNSUPPORTED
 */
export function attachZeroCopy(
  device: Device,
  rings: KernelRings,
  request: CheckedBindRequest,
  memory: MemoryRegistration | undefined,
  socket: number,
): Attachment {
  const { driver } = device;
  if (!driver.zeroCopy || memory === undefined) {
    throw new PacketError(
      'NO_DRIVER_ZEROCOPY',
      `driver ${driver.driver} of ${driver.name} has no zero-copy operations`,
      {
        remedy: 'use a copy mode on this interface',
      },
    );
  }
  const queue = request.queue ?? (driver.queues === 1 ? 0 : undefined);
  if (queue === undefined) {
    throw new PacketError('NO_QUEUE', `${driver.name} has ${driver.queues} queues: zero-copy needs to know which`, {
      remedy: 'name the queue to bind to',
    });
  }
  if (queue < 0 || queue >= driver.queues) throw noQueue(queue, driver.queues);
  if (device.zeroCopyQueues.has(queue)) {
    throw new PacketError('QUEUE_BUSY', `queue ${queue} of ${driver.name} works for another socket in zero-copy mode`, {
      remedy: 'close that socket or bind to another queue',
    });
  }
  if (rings.receive !== undefined && device.core.takes(queue)) {
    throw new PacketError(
      'QUEUE_BUSY',
      `an AF_XDP socket in copy mode receives from queue ${queue} of ${driver.name}`,
      {
        remedy: 'close that socket or bind to another queue',
      },
    );
  }
  checkRoom(device, rings, request, memory);
  const { receive } = request;
  if (receive instanceof SoftMap && device.programs.attached.has('generic')) throw behindGeneric(request.mode);
  const steering = new ZeroCopySteering(device, queue);
  const feed = new ProgramFeed(device, socket, queue);
  const redirected =
    receive instanceof SoftMap && rings.receive ? new RedirectedEnd(rings.receive, device, queue) : undefined;
  if (rings.receive !== undefined) feed.steer(receive);
  try {
    if (rings.receive !== undefined) steering.steer(steeredTo(receive));
    // A sender leaves receiving as it was: ordinary, where packets are spread to the queue.
    const otherwise = steering.spread ? device.ordinaryEnds(queue, false).receive : NO_END;
    driver.setEnds(queue, {
      receive: redirected ?? rings.receive ?? otherwise,
      transmit: rings.transmit ?? NO_END,
    });
  } catch (error) {
    feed.end();
    steering.undo();
    throw error;
  }
  const own = new OwnDrops(device, queue, true, ownPackets(receive));
  device.zeroCopyQueues.add(queue);
  if (rings.receive !== undefined) device.zeroCopyReceivers.add(queue);
  const found = { device, queue, rings, inPlace: rings.receive };
  let current = receive;
  return {
    mode: request.mode,
    queue,
    driver,
    service: (direction) => driver.service(queue, direction),
    posted: () => rings.transmitPosted() || rings.receivePosted(),
    redirectSocket: () => (feed.redirected ? found : undefined),
    steer(wanted) {
      if (redirected === undefined && wanted instanceof SoftMap) throw notRedirected(request.mode);
      feed.steer(wanted);
      try {
        steering.steer(steeredTo(wanted));
      } catch (error) {
        feed.steer(current);
        throw error;
      }
      current = wanted;
      if (redirected !== undefined) redirected.passesToStack = wanted === 'none' || wanted instanceof SoftMap;
      own.steer(ownPackets(wanted));
    },
    drops: () => own.take(),
    detach() {
      feed.end();
      steering.undo();
      // A queue that only rules had reached brings nothing any more: it needs no frames of the page pool.
      driver.setEnds(queue, steering.wasSpread ? undefined : { receive: NO_END, transmit: NO_END });
      device.zeroCopyQueues.delete(queue);
      device.zeroCopyReceivers.delete(queue);
    },
  };
}

/** What must reach a socket's queue: with a map of sockets everything that may, since the program decides. */
function steeredTo(receive: WantedPackets): SteeredPackets {
  return receive instanceof SoftMap ? 'all' : receive;
}

/** Which losses are a socket's own: nobody knows what a program would have given it. */
function ownPackets(receive: WantedPackets): SteeredPackets {
  return receive instanceof SoftMap ? 'none' : receive;
}

/** A generic program redirects copies, and the device has all free frames of a socket that it receives for in place. */
function behindGeneric(mode: Mode): PacketError {
  return new PacketError(
    'MODE_UNSUPPORTED',
    `${mode}: the program of the map is attached generically, behind the driver`,
    {
      remedy: "attach it with hook: 'native', or open the socket in mode 'xdp-copy'",
    },
  );
}

function notRedirected(mode: Mode): PacketError {
  return new PacketError('WRONG_STATE', `receive: a socket in mode ${mode} that was bound without a map of sockets`, {
    remedy: 'open it with receive: { xskmap }; it can then be steered to rules and back',
  });
}

/** Whether the device's packets fit the frames that they are received into. @throws PacketError FRAME_TOO_SMALL */
function checkRoom(
  { driver }: Device,
  rings: KernelRings,
  request: CheckedBindRequest,
  memory: MemoryRegistration,
): void {
  if (rings.receive === undefined) return;
  const room = memory.frameSize - KERNEL_HEADROOM_BYTES - memory.headroom;
  const longest = driver.mtu + LINK_OVERHEAD_BYTES;
  if (!request.segments && longest > room) {
    throw new PacketError(
      'FRAME_TOO_SMALL',
      `packets of ${driver.name} have up to ${longest} bytes, frames room for ${room}`,
      {
        remedy: 'use larger frames, a smaller MTU, or segments: true',
      },
    );
  }
  if (longest > room * MOST_PARTS) {
    throw new PacketError(
      'FRAME_TOO_SMALL',
      `packets of ${driver.name} have up to ${longest} bytes, more than ${MOST_PARTS} frames hold`,
      {
        remedy: 'use larger frames or less headroom',
      },
    );
  }
}

/**
 * Which packets reach a zero-copy queue (X2). With "all" it is everything that the device puts on that queue (Q1); with rules
 * only what they match, which the device must be able to guarantee, because the frames are the application's own.
 */
class ZeroCopySteering {
  #handles: number[] = [];
  /** Whether they reached it before the socket came. */
  readonly wasSpread: boolean;
  /** Whether unsteered packets may reach the queue at the moment. */
  #spread: boolean;

  constructor(
    private readonly device: Device,
    private readonly queue: number,
  ) {
    this.wasSpread = device.driver.spreadsTo(queue);
    this.#spread = this.wasSpread;
  }

  get spread(): boolean {
    return this.#spread;
  }

  steer(receive: SteeredPackets): void {
    const { driver } = this.device;
    if (isFiltered(receive)) {
      throw new PacketError(
        'RULES_UNSUPPORTED',
        `${driver.name} picks packets for a queue by rules, and cannot look at filter expressions`,
        { remedy: 'write rules, or use a copy mode' },
      );
    }
    const old = this.#handles;
    const keepAway = receive !== 'all';
    if (this.wasSpread && !driver.setSpread(this.queue, !keepAway)) {
      throw new PacketError(
        'QUEUE_SHARED',
        `everything on ${driver.name} arrives on queue ${this.queue}: its frames would show this socket packets of others`,
        { remedy: "use an interface with more queues, receive: 'all', or a copy mode" },
      );
    }
    const handles: number[] = [];
    try {
      if (typeof receive !== 'string') for (const rule of receive) handles.push(this.#add(rule));
    } catch (error) {
      for (const handle of handles) driver.unsteer(handle);
      if (this.wasSpread) driver.setSpread(this.queue, this.#spread);
      throw error;
    }
    this.#spread = !keepAway;
    for (const handle of old) driver.unsteer(handle);
    this.#handles = handles;
  }

  #add(rule: FlowRule): number {
    const { driver } = this.device;
    const { to = 'socket' } = rule;
    if (typeof to === 'object') return driver.steer(rule, to.queue);
    return driver.steer(rule, this.queue, to === 'drop' ? 'drop' : to === 'stack' ? 'spread' : 'receive');
  }

  undo(): void {
    const { driver } = this.device;
    for (const handle of this.#handles) driver.unsteer(handle);
    this.#handles = [];
    if (this.wasSpread) driver.setSpread(this.queue, true);
  }
}

/**
 * Copy mode: the packet core delivers copies, a transmitter copies what is to be sent (Q2).
 *
 * @param memory the packet buffer of V4 and AF_XDP; V2 and V3 have none, and cut what does not fit their rings
 * @param socket its number in the kernel
 * @throws PacketError NO_QUEUE, QUEUE_BUSY, FRAME_TOO_SMALL, FLOW_TABLE_FULL, INTERFACE_BUSY, MAP_FULL
 */
export function attachCopying(
  device: Device,
  rings: KernelRings,
  request: CheckedBindRequest,
  memory: MemoryRegistration | undefined,
  socket: number,
): Attachment {
  const { driver, core } = device;
  const exclusive = request.mode === 'xdp-copy';
  const queue = request.queue ?? (exclusive && driver.queues === 1 ? 0 : undefined);
  if (exclusive && queue === undefined) {
    throw new PacketError('NO_QUEUE', `${driver.name} has ${driver.queues} queues: AF_XDP needs to know which`, {
      remedy: 'name the queue to bind to',
    });
  }
  if (queue !== undefined && (queue < 0 || queue >= driver.queues)) throw noQueue(queue, driver.queues);
  if (exclusive && request.receive !== 'none' && device.zeroCopyReceivers.has(queue!)) {
    throw new PacketError('QUEUE_BUSY', `queue ${queue} of ${driver.name} works for another socket in zero-copy mode`, {
      remedy: 'close that socket or bind to another queue',
    });
  }
  if (memory !== undefined) checkRoom(device, rings, request, memory);
  const listener = new Listener(rings, queue ?? -1, exclusive);
  const { receive } = request;
  const feed = exclusive ? new ProgramFeed(device, socket, queue!) : undefined;
  feed?.steer(receive);
  try {
    core.add(listener, ownPackets(receive));
  } catch (error) {
    feed?.end();
    throw error;
  }
  const own = exclusive ? new OwnDrops(device, queue!, false, ownPackets(receive)) : undefined;
  const found = { device, queue: queue ?? 0, rings, inPlace: undefined };
  let current = receive;
  const transmitter =
    rings.transmit &&
    new CopyTransmitter(
      rings.transmit,
      driver,
      device.transmitQueue,
      device.pool,
      device.means,
      driver.mtu + LINK_OVERHEAD_BYTES,
    );
  return {
    mode: request.mode,
    queue,
    service: () => transmitter?.service() ?? 0,
    posted: () => rings.transmitPosted(),
    redirectSocket: () => (feed?.redirected ? found : undefined),
    steer(wanted) {
      feed?.steer(wanted);
      try {
        core.steer(listener, ownPackets(wanted));
      } catch (error) {
        feed?.steer(current);
        throw error;
      }
      current = wanted;
      own?.steer(ownPackets(wanted));
    },
    drops: () => ({ ...own?.take(), ...(listener.ruleDrops > 0 && { rule: listener.ruleDrops }) }),
    detach() {
      feed?.end();
      core.remove(listener);
      transmitter?.close();
    },
  };
}
