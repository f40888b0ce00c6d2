import type { Arena } from '../../arena/arena.js';
import type { Engine } from '../../ebpf/execution.js';
import { XDP_HELPERS } from '../../ebpf/helpers/xdp-helpers.js';
import { Machine } from '../../ebpf/machine.js';
import type { MapContents } from '../../ebpf/maps/contract.js';
import type { ProgramObject } from '../../ebpf/program.js';
import type { AttachRequest, LoadedProgram, LoadOptions } from '../../kernel/programs.js';
import type { Device } from '../device.js';
import type { PagePool } from '../page-pool.js';
import { CpuQueues } from './cpu-queues.js';
import { loadObject } from './object-loading.js';
import type { Network, RedirectSocket } from './redirections.js';
import { SoftAttachment } from './soft-attachment.js';
import { expectSoftMap, type SoftMap } from './soft-map.js';
import type { SoftObject } from './soft-object.js';
import { TestBench } from './test-bench.js';

/** What the programs of a kernel need of it. */
export interface ProgramSurroundings {
  /** The kernel's own memory. */
  readonly arena: Arena;
  readonly pool: PagePool;
  readonly engine: Engine;
  /** Bytes for the values of all maps. */
  readonly bytes: number;
  device(name: string): Device;
  deviceByIndex(index: number): Device | undefined;
  redirectSocket(number: number): RedirectSocket | undefined;
}

/** XDP programs of users in the soft kernel: one machine for all, what is attached, and the queues of CPUs. Made for the first object. */
export class SoftPrograms {
  readonly #surroundings: ProgramSurroundings;
  readonly #machine: Machine;
  readonly #bench: TestBench;
  readonly #cpus = new CpuQueues();
  readonly #network: Network;
  readonly #attachments = new Set<SoftAttachment>();

  /** @throws PacketError ARENA_EXHAUSTED */
  constructor(surroundings: ProgramSurroundings) {
    const { arena, bytes } = surroundings;
    this.#surroundings = surroundings;
    this.#machine = new Machine(arena, { helpers: XDP_HELPERS, bytes });
    this.#bench = new TestBench(arena);
    this.#network = {
      machine: this.#machine,
      cpus: this.#cpus,
      deviceByIndex: (index) => surroundings.deviceByIndex(index),
      redirectSocket: (number) => surroundings.redirectSocket(number),
    };
  }

  loadObject(object: ProgramObject, options?: LoadOptions): SoftObject {
    const { engine } = this.#surroundings;
    const device = (name: string) => this.#surroundings.device(name);
    return loadObject({ machine: this.#machine, engine, bench: this.#bench, device }, object, options);
  }

  attach(program: LoadedProgram, request: AttachRequest): SoftAttachment {
    const place = {
      network: this.#network,
      machine: this.#machine,
      device: (name: string) => this.#surroundings.device(name),
      attachments: this.#attachments,
    };
    return new SoftAttachment(place, program, request);
  }

  expectMap(map: MapContents, what: string): SoftMap {
    return expectSoftMap(map, what, this.#machine);
  }

  /** Whether packets wait for CPUs. */
  get busy(): boolean {
    return this.#cpus.busy;
  }

  /** What CPUs do in a step. Returns frames handed on. */
  work(): number {
    return this.#cpus.work();
  }

  async close(): Promise<void> {
    for (const attachment of [...this.#attachments]) await attachment.detach();
    this.#cpus.close(this.#surroundings.pool);
    this.#bench.close();
    this.#machine.close();
  }
}
