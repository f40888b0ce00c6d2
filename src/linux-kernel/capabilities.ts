import { readFileSync } from 'node:fs';
import { type Known, known, unknown } from '../kernel/answer.js';

/** The capabilities that packet sockets ask for, with their bits (linux/capability.h). */
const BITS = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_IPC_LOCK: 14, CAP_SYS_ADMIN: 21, CAP_BPF: 39 } as const;
export type Capability = keyof typeof BITS;

/** The capabilities that a process can use. */
export type Capabilities = ReadonlySet<Capability>;

/** What this process may do, from /proc/self/status. */
export function readCapabilities(proc = '/proc'): Known<Capabilities> {
  let text: string;
  try {
    text = readFileSync(`${proc}/self/status`, 'utf8');
  } catch (error) {
    return unknown(`${proc}/self/status cannot be read: ${(error as Error).message}`);
  }
  const effective = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(text)?.[1];
  if (effective === undefined) return unknown(`${proc}/self/status does not name the capabilities`);
  const mask = BigInt(`0x${effective}`);
  const held = (Object.keys(BITS) as Capability[]).filter((name) => ((mask >> BigInt(BITS[name])) & 1n) === 1n);
  return known(new Set(held));
}

/** What opening any packet socket needs and this process lacks. */
export function missingForPackets(held: Capabilities): Capability[] {
  return held.has('CAP_NET_RAW') ? [] : ['CAP_NET_RAW'];
}

/** The same for AF_XDP sockets that receive, whose program is loaded and attached. CAP_SYS_ADMIN contains CAP_BPF. */
export function missingForXdp(held: Capabilities): Capability[] {
  const missing = missingForPackets(held);
  if (!held.has('CAP_NET_ADMIN')) missing.push('CAP_NET_ADMIN');
  if (!held.has('CAP_BPF') && !held.has('CAP_SYS_ADMIN')) missing.push('CAP_BPF');
  return missing;
}

/** The command that gives the missing capabilities to this program. */
export function capabilityRemedy(missing: readonly Capability[]): string {
  const list = missing.map((name) => name.toLowerCase()).join(',');
  return `run as root, or: sudo setcap ${list}+ep ${process.execPath}`;
}
