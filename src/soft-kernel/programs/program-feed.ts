import type { Device } from '../device.js';
import type { WantedPackets } from '../requests.js';
import { MapEntry } from './map-entry.js';
import { SoftMap } from './soft-map.js';

/**
 * How a socket that takes packets away gets on with programs of users: either it is in a map that one redirects to, or it stands for a
 * program itself, and none can be attached beside it.
 */
export class ProgramFeed {
  readonly #device: Device;
  readonly #entry: MapEntry;

  /** @param socket its number in the kernel */
  constructor(device: Device, socket: number, queue: number) {
    this.#device = device;
    this.#entry = new MapEntry(socket, queue);
  }

  /** Whether the socket is in a map. */
  get redirected(): boolean {
    return this.#entry.entered;
  }

  /** Changes it. What is refused changes nothing. @throws PacketError INTERFACE_BUSY, MAP_FULL, WRONG_STATE */
  steer(wanted: WantedPackets): void {
    if (wanted instanceof SoftMap) {
      this.#entry.enter(wanted);
      this.#device.programs.setTaker(this, false);
    } else {
      this.#device.programs.setTaker(this, wanted !== 'none');
      this.#entry.leave();
    }
  }

  /** The socket is closed. */
  end(): void {
    this.#entry.leave();
    this.#device.programs.setTaker(this, false);
  }
}
