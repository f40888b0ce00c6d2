import type { UseEthtool } from '../ethtool.js';
import { Journal } from '../journal.js';
import { networkNamespace } from '../network-namespaces.js';
import { DeviceDirector, type PreparedEntries } from './device-director.js';
import type { WantedEntry } from './directed-rules.js';

/** The flow directors of the devices that sockets of one kernel use. */
export class FlowDirectors {
  readonly #useEthtool: UseEthtool;
  readonly #journal: Journal;
  readonly #devices = new Map<number, DeviceDirector>();

  constructor(useEthtool: UseEthtool, journal: Journal = Journal.own()) {
    this.#useEthtool = useEthtool;
    this.#journal = journal;
  }

  /** For one socket of a device. */
  entriesFor({ name, index }: { readonly name: string; readonly index: number }): SocketEntries {
    let director = this.#devices.get(index);
    if (director === undefined) {
      const namespace = networkNamespace();
      director = new DeviceDirector({ name, index, namespace, useEthtool: this.#useEthtool, journal: this.#journal });
      this.#devices.set(index, director);
    }
    return new SocketEntries(director);
  }
}

/** The n-tuple entries of one socket. */
export class SocketEntries {
  readonly #director: DeviceDirector;
  #keys: ReadonlySet<string> = new Set();

  constructor(director: DeviceDirector) {
    this.#director = director;
  }

  /**
   * Adds the entries of new rules; those of the old ones stay until the change is finished.
   *
   * @throws PacketError as {@link DeviceDirector.prepare}; nothing is changed then
   */
  prepare(wanted: readonly WantedEntry[]): PreparedEntries {
    const { keys, finish, cancel } = this.#director.prepare(wanted, this.#keys);
    useAtExit(this.#director);
    return {
      finish: () => {
        this.#keys = keys;
        finish();
      },
      cancel,
    };
  }

  /** Removes them. Never throws. */
  close(): void {
    this.#director.release(this.#keys);
    this.#keys = new Set();
    useAtExit(this.#director);
  }
}

/** Devices with entries: a program that ends without closing its sockets removes them all the same. */
const inUse = new Set<DeviceDirector>();

function useAtExit(director: DeviceDirector): void {
  if (director.isEmpty) {
    inUse.delete(director);
    if (inUse.size === 0) process.off('exit', releaseAll);
    return;
  }
  if (inUse.size === 0) process.on('exit', releaseAll);
  inUse.add(director);
}

function releaseAll(): void {
  for (const director of inUse) director.releaseAll();
}
