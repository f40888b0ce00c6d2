import {
  AF_PACKET,
  PACKET_ADD_MEMBERSHIP,
  PACKET_DROP_MEMBERSHIP,
  PACKET_MR_PROMISC,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_PACKET,
} from './constants.js';
import { Struct } from './struct.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

/**
 * Makes a packet socket a member of those for whom an interface takes packets for any address, or takes it out again. The kernel
 * counts members, and takes a socket out when it is closed, also by the end of the process.
 *
 * @throws PacketError NO_PRIVILEGE, SYSTEM_CALL
 */
export function setPromiscuous(calls: SystemCalls, descriptor: number, interfaceIndex: number, on: boolean): void {
  const membership = new Struct(16).i32(0, interfaceIndex).u16(4, PACKET_MR_PROMISC); // struct packet_mreq
  const option = on ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP;
  const result = calls.setsockopt(descriptor, SOL_PACKET, option, membership);
  if (result >= 0) return;
  const name = on ? 'PACKET_ADD_MEMBERSHIP' : 'PACKET_DROP_MEMBERSHIP';
  throw systemCallError(
    `setsockopt ${name}`,
    -result,
    'change whether the interface is promiscuous',
    {},
    'CAP_NET_RAW',
  );
}

/** Promiscuity for a socket that cannot ask for it itself (AF_XDP): that of a packet socket which hears nothing. */
export class PromiscuousMember {
  readonly #calls: SystemCalls;
  readonly #descriptor: number;

  /** @throws PacketError NO_PRIVILEGE, SYSTEM_CALL */
  constructor(calls: SystemCalls, interfaceIndex: number) {
    this.#calls = calls;
    this.#descriptor = calls.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (this.#descriptor < 0) {
      const what = 'make the interface promiscuous';
      throw systemCallError('socket AF_PACKET', -this.#descriptor, what, {}, 'CAP_NET_RAW');
    }
    try {
      setPromiscuous(calls, this.#descriptor, interfaceIndex, true);
    } catch (error) {
      calls.close(this.#descriptor);
      throw error;
    }
  }

  /** To be called once. */
  leave(): void {
    this.#calls.close(this.#descriptor);
  }
}
