import type { Machine } from '../../ebpf/machine.js';
import { PacketError } from '../../errors.js';
import { checkBinding } from '../../kernel/program-binding.js';
import type { AttachRequest, LoadedProgram, ProgramAttachment, ProgramHook } from '../../kernel/programs.js';
import { LINK_OVERHEAD_BYTES } from '../../nic/soft-nic.js';
import { checkChoice, checkOptionNames } from '../../options.js';
import type { Device } from '../device.js';
import { PAGE_ROOM } from '../page-pool.js';
import type { Network } from './redirections.js';
import { type RunningProgram, startProgram } from './running-program.js';
import type { SoftObject } from './soft-object.js';
import { expectSoftProgram, type SoftProgram } from './soft-program.js';

const HOOKS: readonly ProgramHook[] = ['native', 'generic', 'egress'];

/** Where programs are attached. */
export interface AttachPlace {
  readonly network: Network;
  readonly machine: Machine;
  readonly device: (name: string) => Device;
  /** What is attached; an attachment takes itself out when it ends. */
  readonly attachments: Set<SoftAttachment>;
}

/** A program at work on a soft device. */
export class SoftAttachment implements ProgramAttachment {
  readonly interface: string;
  readonly hook: ProgramHook;
  readonly #place: AttachPlace;
  readonly #device: Device;
  readonly #running: RunningProgram;
  #object: SoftObject | undefined;

  /** @throws PacketError INVALID_OPTION, NO_INTERFACE, INTERFACE_BUSY, MODE_UNSUPPORTED, WRONG_STATE, ARENA_EXHAUSTED */
  constructor(place: AttachPlace, program: LoadedProgram, request: AttachRequest) {
    checkOptionNames('attachProgram', request, ['interface', 'hook']);
    this.hook = checkChoice('hook', request.hook, HOOKS);
    const loaded = expectAttachable(program, place.machine, this.hook);
    const device = place.device(request.interface);
    checkBinding(loaded.program, loaded.boundTo, request);
    checkSegments(loaded, device);
    device.programs.expectFree(this.hook);
    this.interface = device.driver.name;
    this.#place = place;
    this.#device = device;
    this.#running = startProgram(this.hook, place.network, device, loaded.executable);
    this.#object = loaded.object;
    this.#object?.retain();
    device.programs.attached.set(this.hook, loaded.program.name);
    place.attachments.add(this);
  }

  async replace(program: LoadedProgram): Promise<void> {
    if (!this.#place.attachments.has(this)) {
      throw new PacketError('WRONG_STATE', `nothing is attached to ${this.interface} any more`, {
        remedy: 'attach the program anew',
      });
    }
    const loaded = expectAttachable(program, this.#place.machine, this.hook);
    checkBinding(loaded.program, loaded.boundTo, this);
    checkSegments(loaded, this.#device);
    this.#running.replace(loaded.executable);
    this.#device.programs.attached.set(this.hook, loaded.program.name);
    loaded.object?.retain();
    this.#object?.release();
    this.#object = loaded.object;
  }

  async detach(): Promise<void> {
    if (!this.#place.attachments.delete(this)) return;
    this.#running.stop();
    this.#device.programs.attached.delete(this.hook);
    this.#object?.release();
    this.#object = undefined;
  }
}

/** @throws PacketError INVALID_OPTION, WRONG_STATE */
function expectAttachable(program: LoadedProgram, machine: Machine, hook: ProgramHook): SoftProgram {
  const loaded = expectSoftProgram(program, machine);
  loaded.expectOpen();
  const { name, place } = loaded.program;
  if (place === 'xdp' || (hook === 'egress' && place === 'xdp/devmap')) return loaded;
  throw new PacketError('INVALID_OPTION', `program ${name} is for entries of maps (${place}), not for an interface`, {
    remedy: 'give it to an entry of a devmap or cpumap, by its handle',
  });
}

/** @throws PacketError MODE_UNSUPPORTED */
function checkSegments({ program }: SoftProgram, { driver }: Device): void {
  if (program.segments || driver.mtu + LINK_OVERHEAD_BYTES <= PAGE_ROOM) return;
  throw new PacketError(
    'MODE_UNSUPPORTED',
    `program ${program.name} takes no packets of several frames, and those of ${driver.name} can be so long (MTU ${driver.mtu})`,
    { remedy: `declare it in the section xdp.frags, or use an MTU of at most ${PAGE_ROOM - LINK_OVERHEAD_BYTES}` },
  );
}
