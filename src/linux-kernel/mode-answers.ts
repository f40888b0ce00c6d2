import { type Answer, cannotTell, doesNot, factOf, type Known, WORKS } from '../kernel/answer.js';
import type { Mode } from '../kernel/contract.js';
import type { AttachedMode, AttachedProgram, ModeAnswer, XdpFeatures } from '../kernel/device-report.js';
import { FOREIGN_LINK_REMEDY } from '../kernel/foreign-link.js';
import {
  type Capabilities,
  type Capability,
  capabilityRemedy,
  missingForPackets,
  missingForXdp,
} from './capabilities.js';
import { AF_XDP, EAFNOSUPPORT, ETH_HLEN, SOCK_CLOEXEC, SOCK_RAW } from './constants.js';
import { largestMtu, receiveBufferUnit } from './frame-room.js';
import type { LinuxInterface } from './interfaces.js';
import type { SystemCalls } from './system-calls.js';

/** Modes that a real interface may have, best first. */
const MODES = ['xdp-zc', 'xdp-copy', 'xdp-generic', 'v3', 'v2'] as const satisfies readonly Mode[];

/** What decides which modes work. */
export interface ModeFacts {
  readonly device: LinuxInterface;
  readonly xdp: Known<XdpFeatures>;
  readonly programs: Known<readonly AttachedProgram[]>;
  readonly capabilities: Known<Capabilities>;
  /** Whether the kernel has AF_XDP ({@link hasAfXdp}). */
  readonly afXdp: boolean | undefined;
}

/** Which modes a socket that receives all packets would get, and why not the others. Nothing is opened or changed. */
export function answerModes(facts: ModeFacts): ModeAnswer[] {
  return MODES.map((mode) => ({ mode, ...answerMode(mode, facts) }));
}

/** Whether the kernel has AF_XDP; undefined when this process may not ask. */
export function hasAfXdp(calls: SystemCalls): boolean | undefined {
  const descriptor = calls.socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (descriptor >= 0) calls.close(descriptor);
  return descriptor >= 0 ? true : descriptor === -EAFNOSUPPORT ? false : undefined;
}

function answerMode(mode: (typeof MODES)[number], facts: ModeFacts): Answer {
  const { device, afXdp } = facts;
  const { name, foreignLink } = device;
  if (foreignLink !== undefined)
    return doesNot(`its packets have no Ethernet header (${foreignLink})`, FOREIGN_LINK_REMEDY);
  const isXdp = mode !== 'v3' && mode !== 'v2';
  // First what the interface can do at all, then what is in the way now.
  const ability = isXdp ? answerAbility(mode, facts) : WORKS;
  if (ability.answer === 'does-not') return ability;
  if (isXdp && afXdp === false) return doesNot('this kernel has no AF_XDP', 'a kernel with CONFIG_XDP_SOCKETS');
  if (!device.up) return doesNot('the interface is down', `ip link set dev ${name} up`);
  const obstacle = isXdp ? (attachedProgram(facts) ?? longPackets(device, mode)) : undefined;
  return obstacle ?? lackingPrivilege(facts.capabilities, isXdp ? missingForXdp : missingForPackets) ?? ability;
}

/** What the driver can do, as the kernel tells (netdev family). */
function answerAbility(mode: 'xdp-zc' | 'xdp-copy' | 'xdp-generic', { device, xdp }: ModeFacts): Answer {
  const { name, driver } = device;
  if (mode === 'xdp-generic') return WORKS;
  if (!xdp.known) return cannotTell(xdp.why, `try it: mode '${mode}'`);
  const { native, redirect, zeroCopy } = xdp.value;
  const who = driver === '' ? `the driver of ${name}` : `the driver ${driver}`;
  if (!native) return doesNot(`${who} runs no XDP programs itself`, "mode 'xdp-generic'");
  if (!redirect) return doesNot(`${who} does not redirect packets to sockets`, "mode 'xdp-generic'");
  if (mode === 'xdp-zc' && !zeroCopy) return doesNot(`${who} has no zero-copy`, "mode 'xdp-copy'");
  // It advertises zero-copy, and refuses to bind (EINVAL) where the hypervisor gives it no IOMMU (VIRTIO_F_ACCESS_PLATFORM).
  if (mode === 'xdp-zc' && driver === 'virtio_net')
    return cannotTell(
      'virtio_net has zero-copy only on some hypervisors, and tells when asked to',
      `try it: mode '${mode}'`,
    );
  return WORKS;
}

function attachedProgram({ device, programs }: ModeFacts): Answer | undefined {
  const [program] = factOf(programs) ?? [];
  if (program === undefined) return undefined;
  return doesNot(
    `the XDP program ${describeProgram(program)} is attached`,
    `tp4 doctor ${device.name} says whose it is; ${detachCommand(device.name, program.mode)}`,
  );
}

/** "12 (tp4_redirect)". */
export function describeProgram({ id, name }: AttachedProgram): string {
  const text = factOf(name);
  return text === undefined || text === '' ? `${id}` : `${id} (${text})`;
}

/** Detaches a program that was attached without a link. */
export function detachCommand(name: string, mode: AttachedMode): string {
  const word = { native: 'xdpdrv', generic: 'xdpgeneric', offloaded: 'xdpoffload' }[mode];
  return `ip link set dev ${name} ${word} off`;
}

function longPackets({ name, mtu, driver }: LinuxInterface, mode: Mode): Answer | undefined {
  const most = largestMtu(mode === 'xdp-zc' ? receiveBufferUnit(driver) : 1);
  if (mtu <= most || driver === 'loopback') return undefined;
  return doesNot(
    `packets have up to ${mtu + ETH_HLEN} bytes, and a frame has room for ${most + ETH_HLEN}`,
    `segments: true, or ip link set dev ${name} mtu ${most}`,
  );
}

function lackingPrivilege(
  capabilities: Known<Capabilities>,
  missingFor: (held: Capabilities) => Capability[],
): Answer | undefined {
  if (!capabilities.known) return cannotTell(capabilities.why);
  const missing = missingFor(capabilities.value);
  return missing.length === 0
    ? undefined
    : doesNot(`this process lacks ${missing.join(', ')}`, capabilityRemedy(missing));
}
