import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type Finding, fine, hampers } from './contract.js';

const SSH_PORT = 22;
/** Connection state of /proc/net/tcp (TCP_ESTABLISHED). */
const ESTABLISHED = '01';

/** Where sessions are looked for; tests give their own. */
export interface SessionSurroundings {
  readonly environment?: NodeJS.ProcessEnv;
  readonly proc?: string;
  /** Addresses of the interface. */
  readonly addresses?: readonly string[];
}

/** Whether somebody is logged in over this interface: a socket that takes all packets would cut that off. */
export function checkSession(name: string, surroundings: SessionSurroundings = {}): Finding {
  const check = 'ssh';
  const { environment = process.env, proc = '/proc' } = surroundings;
  const addresses = surroundings.addresses ?? (networkInterfaces()[name] ?? []).map(({ address }) => address);
  const [, , server] = environment.SSH_CONNECTION?.split(' ') ?? [];
  const mine = server !== undefined && addresses.includes(server);
  if (!mine && !hasConnection(proc, addresses)) return fine(check, 'no session comes over this interface');
  const whose = mine ? 'this ssh session comes' : 'an ssh session comes';
  return hampers(
    check,
    `${whose} over ${name}: AF_XDP sockets with receive: 'all' take its packets, too`,
    'work from the console, over another interface, or on another queue',
  );
}

/** Established connections to port 22 at one of the IPv4 addresses; of IPv6 only the session's own is known, from its environment. */
function hasConnection(proc: string, addresses: readonly string[]): boolean {
  const local = new Set(addresses.filter((address) => address.includes('.')).map(toHexadecimal));
  return ['tcp', 'tcp6'].some((table) =>
    readTable(`${proc}/net/${table}`).some((line) => {
      const [, here = '', , state] = line.trim().split(/\s+/);
      const [address = '', port = ''] = here.split(':');
      // An IPv4 connection of a socket that listens on IPv6 ends with the IPv4 address.
      return state === ESTABLISHED && Number.parseInt(port, 16) === SSH_PORT && local.has(address.slice(-8));
    }),
  );
}

/** 192.0.2.1 as /proc/net/tcp has it: the four bytes in reverse. */
function toHexadecimal(address: string): string {
  const bytes = address.split('.').map(Number).reverse();
  return bytes
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();
}

function readTable(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n').slice(1);
  } catch {
    return [];
  }
}
