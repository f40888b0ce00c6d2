import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { PacketError } from '../errors.js';

export const SSH_PORT = 22;
/** Connection state of /proc/net/tcp (TCP_ESTABLISHED). */
const ESTABLISHED = '01';

/** Where sessions are looked for; tests give their own. */
export interface SessionSurroundings {
  readonly environment?: NodeJS.ProcessEnv;
  readonly proc?: string;
  /** Addresses of the interface. */
  readonly addresses?: readonly string[];
}

/**
 * Whether somebody is logged in over an interface: this very session (SSH_CONNECTION), or another one that is established with port 22
 * of one of the interface's addresses.
 */
export function sessionOver(name: string, surroundings: SessionSurroundings = {}): 'mine' | 'other' | undefined {
  const { environment = process.env, proc = '/proc' } = surroundings;
  const addresses = surroundings.addresses ?? (networkInterfaces()[name] ?? []).map(({ address }) => address);
  const [, , server] = environment.SSH_CONNECTION?.split(' ') ?? [];
  if (server !== undefined && addresses.includes(server)) return 'mine';
  const local = new Set(addresses.map(toHexadecimal));
  const established = ['tcp', 'tcp6'].some((table) =>
    readTable(`${proc}/net/${table}`).some((line) => {
      const [, here = '', , state] = line.trim().split(/\s+/);
      const [address = '', port = ''] = here.split(':');
      if (state !== ESTABLISHED || Number.parseInt(port, 16) !== SSH_PORT) return false;
      // An IPv4 connection of a socket that listens on IPv6 ends with the IPv4 address.
      return local.has(address) || (address.startsWith(MAPPED) && local.has(address.slice(-8)));
    }),
  );
  return established ? 'other' : undefined;
}

/**
 * Refuses to take all packets of an interface over which somebody is logged in.
 *
 * @throws PacketError GUARDED_INTERFACE
 */
export function checkCutoff(name: string, surroundings?: SessionSurroundings): void {
  const session = sessionOver(name, surroundings);
  if (session === undefined) return;
  const whose = session === 'mine' ? 'this ssh session' : 'an ssh session';
  throw new PacketError('GUARDED_INTERFACE', `${whose} comes over ${name}, and receive: 'all' would cut it off`, {
    remedy: 'receive by rules, which leave it to the stack, work over another interface, or say allowCutoff: true',
  });
}

/** ::ffff:0:0/96, as /proc/net/tcp6 has it. */
const MAPPED = '0000000000000000FFFF0000';

/** An address as /proc/net/tcp and tcp6 have it: 32-bit words whose bytes are in reverse. */
function toHexadecimal(address: string): string {
  return address.includes(':') ? ipv6Hexadecimal(address) : reversed(address.split('.').map(Number));
}

/** Of the forms that the operating system writes: hexadecimal groups, at most one "::", perhaps an IPv4 address at the end. */
function ipv6Hexadecimal(address: string): string {
  const [plain = ''] = address.split('%');
  const [front = [], back] = plain.split('::').map((half) => half.split(':').filter(Boolean).flatMap(groupBytes));
  const zeros = back === undefined ? [] : new Array<number>(Math.max(0, 16 - front.length - back.length)).fill(0);
  const bytes = [...front, ...zeros, ...(back ?? [])];
  return [0, 4, 8, 12].map((at) => reversed(bytes.slice(at, at + 4))).join('');
}

function groupBytes(group: string): number[] {
  if (group.includes('.')) return group.split('.').map(Number);
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 0xff];
}

function reversed(bytes: readonly number[]): string {
  const text = [...bytes].reverse().map((byte) => byte.toString(16).padStart(2, '0'));
  return text.join('').toUpperCase();
}

function readTable(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n').slice(1);
  } catch {
    return [];
  }
}
