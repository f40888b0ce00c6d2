import { type Program, readsHints } from '../ebpf/program.js';
import { PacketError } from '../errors.js';
import type { AttachRequest, LoadOptions } from './programs.js';

// What both kernels say of programs that read hints of a device.

/**
 * The interface that a program is to be bound to; undefined for programs that read no hints.
 *
 * @throws PacketError PROGRAM_REFUSED for one that does, and no interface is given
 */
export function bindingOf(program: Program, { boundTo }: LoadOptions): string | undefined {
  if (!readsHints(program)) return undefined;
  if (boundTo !== undefined) return boundTo;
  throw new PacketError(
    'PROGRAM_REFUSED',
    `load the program ${program.name}: it reads hints (${program.kernelFunctions.join(', ')}), which are a device's`,
    { remedy: "name the interface: loadObject(object, { boundTo: 'eth1' })" },
  );
}

/** @throws PacketError MODE_UNSUPPORTED where a program that is bound to an interface cannot be attached */
export function checkBinding({ name }: Program, boundTo: string | undefined, request: AttachRequest): void {
  if (boundTo === undefined || (boundTo === request.interface && request.hook === 'native')) return;
  const elsewhere = boundTo !== request.interface;
  throw new PacketError(
    'MODE_UNSUPPORTED',
    `attach the program ${name} to ${request.interface}: it reads hints of ${boundTo}${elsewhere ? '' : ', which there are in the driver alone'}`,
    { remedy: elsewhere ? `load it with boundTo: '${request.interface}'` : "hook: 'native'" },
  );
}

/** @throws PacketError MODE_UNSUPPORTED where a program that is bound to an interface is used without one */
export function checkUnbound({ name }: Program, boundTo: string | undefined, what: string): void {
  if (boundTo === undefined) return;
  throw new PacketError('MODE_UNSUPPORTED', `program ${name} reads hints of ${boundTo}: it cannot be ${what}`, {
    remedy: 'use one that reads none, or attach this one to its interface',
  });
}
