import type { Driver } from '../driver/contract.js';
import { NO_END } from '../driver/no-end.js';
import { PacketError } from '../errors.js';
import type { Direction, DropPlace, MemoryRegistration } from '../kernel/contract.js';
import { LINK_OVERHEAD_BYTES, noQueue } from '../nic/soft-nic.js';
import { MOST_PARTS } from '../packet-array/packet-array.js';
import { KERNEL_HEADROOM_BYTES } from '../packet-buffer/packet-buffer.js';
import type { KernelRings } from '../ring/kernel-rings.js';
import { isFiltered } from '../steering/filtered.js';
import type { SteeredPackets } from '../steering/rules.js';
import { CopyTransmitter } from './copy-transmitter.js';
import type { Device } from './device.js';
import { OwnDrops } from './own-drops.js';
import { Listener } from './packet-core.js';
import type { CheckedBindRequest } from './requests.js';

/** How a bound socket's rings hang on a device. */
export interface Attachment {
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
  steer(receive: SteeredPackets): void;
  /** Drops that the attachment knows of and the rings do not. */
  drops(): Partial<Record<DropPlace, number>>;
  detach(): void;
}

/**
 * Zero-copy: the rings become the ends of a queue pair's packet arrays (S4, K1).
 *
 * @throws PacketError NO_DRIVER_ZEROCOPY, NO_QUEUE, QUEUE_BUSY, QUEUE_SHARED, FRAME_TOO_SMALL, RULES_UNSUPPORTED
 */
export function attachZeroCopy(
  device: Device,
  rings: KernelRings,
  request: CheckedBindRequest,
  memory: MemoryRegistration | undefined,
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
  const steering = new ZeroCopySteering(device, queue);
  if (rings.receive !== undefined) steering.steer(request.receive);
  // A sender leaves receiving as it was: ordinary, where packets are spread to the queue.
  const otherwise = steering.spread ? device.ordinaryEnds(queue, false).receive : NO_END;
  try {
    driver.setEnds(queue, { receive: rings.receive ?? otherwise, transmit: rings.transmit ?? NO_END });
  } catch (error) {
    steering.undo();
    throw error;
  }
  const own = new OwnDrops(device, queue, true, request.receive);
  device.zeroCopyQueues.add(queue);
  if (rings.receive !== undefined) device.zeroCopyReceivers.add(queue);
  return {
    queue,
    driver,
    service: (direction) => driver.service(queue, direction),
    posted: () => rings.transmitPosted() || rings.receivePosted(),
    steer(receive) {
      steering.steer(receive);
      own.steer(receive);
    },
    drops: () => own.take(),
    detach() {
      steering.undo();
      // A queue that only rules had reached brings nothing any more: it needs no frames of the page pool.
      driver.setEnds(queue, steering.wasSpread ? undefined : { receive: NO_END, transmit: NO_END });
      device.zeroCopyQueues.delete(queue);
      device.zeroCopyReceivers.delete(queue);
    },
  };
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
      if (typeof receive !== 'string') for (const rule of receive) handles.push(driver.steer(rule, this.queue));
    } catch (error) {
      for (const handle of handles) driver.unsteer(handle);
      if (this.wasSpread) driver.setSpread(this.queue, this.#spread);
      throw error;
    }
    this.#spread = !keepAway;
    for (const handle of old) driver.unsteer(handle);
    this.#handles = handles;
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
 * @throws PacketError NO_QUEUE, QUEUE_BUSY, FRAME_TOO_SMALL, FLOW_TABLE_FULL
 */
export function attachCopying(
  device: Device,
  rings: KernelRings,
  request: CheckedBindRequest,
  memory: MemoryRegistration | undefined,
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
  core.add(listener, request.receive);
  const own = exclusive ? new OwnDrops(device, queue!, false, request.receive) : undefined;
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
    queue,
    service: () => transmitter?.service() ?? 0,
    posted: () => rings.transmitPosted(),
    steer(receive) {
      core.steer(listener, receive);
      own?.steer(receive);
    },
    drops: () => own?.take() ?? {},
    detach() {
      core.remove(listener);
      transmitter?.close();
    },
  };
}
