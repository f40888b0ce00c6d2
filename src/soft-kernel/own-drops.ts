import type { DropPlace } from '../kernel/contract.js';
import type { SteeredPackets } from '../steering/rules.js';
import { wireStatistics } from '../wire/options.js';
import type { Device } from './device.js';

type Places = Partial<Record<DropPlace, number>>;

/**
 * What a device has lost before a socket could get it, as far as it can only have been the socket's. Until a packet lies in a frame
 * nobody knows whose it would have been; so a loss is a socket's own in three cases:
 *
 *   - no descriptor on its queue, whose frames are the socket's alone (zero-copy);
 *   - by a rule of the socket that has the device drop packets;
 *   - on the wire, too long for the device, or without a descriptor, on a device whose only queue brings everything to the socket
 *     and to nobody else (an exclusive mode, `receive: 'all'`).
 *
 * Everything else is the device's, and only `deviceStatistics` tells it. Counts begin when the socket is bound.
 */
export class OwnDrops {
  readonly #total: Places = {};
  #before: Places = {};

  constructor(
    private readonly device: Device,
    private readonly queue: number,
    /** Whether the queue's frames are the socket's. */
    private readonly zeroCopy: boolean,
    private receive: SteeredPackets,
  ) {
    this.#before = this.#own();
  }

  /** The socket receives something else from now on. */
  steer(receive: SteeredPackets): void {
    this.#settle();
    this.receive = receive;
    this.#before = this.#own();
  }

  take(): Places {
    this.#settle();
    return { ...this.#total };
  }

  #settle(): void {
    const now = this.#own();
    for (const [name, count] of Object.entries(now)) {
      const place = name as DropPlace;
      this.#total[place] = (this.#total[place] ?? 0) + count - (this.#before[place] ?? 0);
    }
    this.#before = now;
  }

  /** What the device has counted so far, of what is the socket's own at the moment. */
  #own(): Places {
    const { device, queue, receive, zeroCopy } = this;
    const { driver, wire } = device;
    const everything = receive === 'all' && driver.queues === 1;
    if (receive === 'none' || !(zeroCopy || everything)) return {};
    const statistics = driver.statistics();
    return {
      'nic-no-descriptor': statistics[`rx_queue_${queue}_drops`] ?? 0,
      rule: statistics[`rx_queue_${queue}_rule_drops`] ?? 0,
      ...(everything && {
        'nic-oversize': statistics.rx_oversize ?? 0,
        wire: (wire && wireStatistics(wire).wire_rx_lost) ?? 0,
      }),
    };
  }
}
