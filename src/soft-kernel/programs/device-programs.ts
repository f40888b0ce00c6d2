import { PacketError } from '../../errors.js';
import type { ProgramHook } from '../../kernel/programs.js';
import { ProgramCounters } from './program-counters.js';

const PREFIXES: Readonly<Record<ProgramHook, string>> = { native: 'rx_xdp', generic: 'generic_xdp', egress: 'tx_xdp' };

/** What a device knows of programs: which are attached, what they have done, and which sockets would be cut off by one. */
export class DevicePrograms {
  /** Names of the programs attached, by hook. */
  readonly attached = new Map<ProgramHook, string>();
  readonly #counters = new Map<ProgramHook, ProgramCounters>();
  /** Sockets that take packets of the device away without a program of the user's. */
  readonly #takers = new Set<object>();
  readonly #device: string;

  /** @param device name of the interface */
  constructor(device: string) {
    this.#device = device;
  }

  /** What the programs of a hook have done, from the first one on. */
  countersOf(hook: ProgramHook): ProgramCounters {
    let counters = this.#counters.get(hook);
    if (counters === undefined) {
      counters = new ProgramCounters();
      this.#counters.set(hook, counters);
    }
    return counters;
  }

  /** Of the hooks that have ever had a program. */
  statistics(): Record<string, number> {
    const all: Record<string, number> = {};
    for (const [hook, counters] of this.#counters) Object.assign(all, counters.statistics(PREFIXES[hook]));
    return all;
  }

  /**
   * Whether a hook is free. Received packets meet one program: a second would not know what the first has done, and sockets that take
   * packets away stand for one.
   *
   * @throws PacketError INTERFACE_BUSY
   */
  expectFree(hook: ProgramHook): void {
    const receives = hook !== 'egress';
    const [name] = [...this.attached].filter(([other]) => (other !== 'egress') === receives).map(([, one]) => one);
    if (name !== undefined) throw this.#busy(`attach: the program ${name} is attached to it`);
    if (receives && this.#takers.size > 0) {
      throw this.#busy(
        `attach: ${this.#takers.size} socket(s) take its packets away`,
        'open them with receive: { xskmap }',
      );
    }
  }

  /** A socket takes packets away from now on, or no longer. @throws PacketError INTERFACE_BUSY */
  setTaker(socket: object, takes: boolean): void {
    const name = this.attached.get('native') ?? this.attached.get('generic');
    if (takes && name !== undefined) {
      throw this.#busy(`receive: the program ${name} is attached to it`, 'use receive: { xskmap }, or detach it');
    }
    if (takes) this.#takers.add(socket);
    else this.#takers.delete(socket);
  }

  #busy(why: string, remedy = 'detach it, or put another in its place with replace'): PacketError {
    return new PacketError('INTERFACE_BUSY', `interface ${this.#device}: ${why}`, { remedy });
  }
}
