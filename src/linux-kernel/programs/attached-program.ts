import { PacketError } from '../../errors.js';
import { checkBinding } from '../../kernel/program-binding.js';
import type { AttachRequest, LoadedProgram, ProgramAttachment } from '../../kernel/programs.js';
import { checkChoice, checkOptionNames } from '../../options.js';
import { type LinuxInterface, readInterface } from '../interfaces.js';
import { LinkResets } from '../link-resets.js';
import type { SystemCalls } from '../system-calls.js';
import type { LinuxObject } from './loaded-object.js';
import { LinuxProgram } from './loaded-program.js';
import { type AttachMode, XdpLink } from './xdp-link.js';

/** Where programs are attached. */
export interface AttachPlace {
  readonly calls: SystemCalls;
  /** What is attached; an attachment takes itself out when it ends. */
  readonly attachments: Set<LinuxAttachment>;
}

/** A program of the user at work on an interface. */
export class LinuxAttachment implements ProgramAttachment {
  readonly interface: string;
  readonly hook: AttachMode;
  readonly #place: AttachPlace;
  readonly #device: LinuxInterface;
  readonly #link: XdpLink;
  readonly #resets = new LinkResets();
  #object: LinuxObject | undefined;

  private constructor(place: AttachPlace, device: LinuxInterface, hook: AttachMode, program: LinuxProgram) {
    this.interface = device.name;
    this.hook = hook;
    this.#place = place;
    this.#device = device;
    this.#resets.expect(device);
    this.#link = new XdpLink(place.calls, program.handle, device, hook);
    this.#object = program.object;
    this.#object?.retain();
    place.attachments.add(this);
  }

  /**
   * Attaches a program. Where that resets the link, it is waited for, up to 5 s.
   *
   * @throws PacketError INVALID_OPTION (no program of this kernel), NO_INTERFACE, INTERFACE_BUSY, MODE_UNSUPPORTED, NO_PRIVILEGE, SYSTEM_CALL
   */
  static async attach(place: AttachPlace, program: LoadedProgram, request: AttachRequest): Promise<LinuxAttachment> {
    checkOptionNames('attachProgram', request, ['interface', 'hook']);
    const hook = checkChoice('hook', request.hook, ['native', 'generic', 'egress']);
    const loaded = expectLinuxProgram(program);
    const device = readInterface(place.calls, request.interface);
    if (hook === 'egress') {
      throw new PacketError('MODE_UNSUPPORTED', 'hook: Linux runs no XDP programs where packets leave', {
        remedy: "'native' or 'generic', or a program of the place xdp/devmap in an entry of a devmap",
      });
    }
    checkBinding(loaded.program, loaded.boundTo, request);
    const attachment = new LinuxAttachment(place, device, hook, loaded);
    await attachment.#resets.settled(device);
    return attachment;
  }

  async replace(program: LoadedProgram): Promise<void> {
    if (!this.#place.attachments.has(this)) {
      throw new PacketError('WRONG_STATE', `nothing is attached to ${this.interface} any more`, {
        remedy: 'attach the program anew',
      });
    }
    const loaded = expectLinuxProgram(program);
    checkBinding(loaded.program, loaded.boundTo, this);
    this.#resets.expect(this.#device);
    this.#link.update(loaded.handle, `attach another program to ${this.interface}`);
    const before = this.#object;
    this.#object = loaded.object;
    this.#object?.retain();
    before?.release();
    await this.#resets.settled(this.#device);
  }

  async detach(): Promise<void> {
    if (!this.#place.attachments.delete(this)) return;
    this.#resets.expect(this.#device);
    this.#link.close();
    this.#object?.release();
    this.#object = undefined;
    await this.#resets.settled(this.#device);
  }
}

function expectLinuxProgram(program: LoadedProgram): LinuxProgram {
  if (program instanceof LinuxProgram) return program;
  throw new PacketError('INVALID_OPTION', 'program: it was not loaded by the Linux kernel', {
    remedy: 'load its object with loadObject of this kernel',
  });
}
