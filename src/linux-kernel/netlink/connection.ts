import { PacketError } from '../../errors.js';
import { AF_NETLINK, EAGAIN, EINTR, POLLIN, SOCK_CLOEXEC, SOCK_RAW } from '../constants.js';
import { Struct } from '../struct.js';
import { systemCallError } from '../system-call-error.js';
import type { SystemCalls } from '../system-calls.js';
import type { Attribute } from './attributes.js';
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR } from './constants.js';
import { damaged } from './damage.js';
import { composeMessage, type NetlinkMessage, parseMessages } from './message.js';

/** Bytes for one datagram: the kernel composes none that is longer unless asked for virtual functions. */
const DATAGRAM_BYTES = 64 * 1024;
/** The kernel answers within the call that asks; this only bounds what never happens. */
const ANSWER_MILLISECONDS = 1000;
const MOST_DATAGRAMS = 10_000;

/** What is asked for. */
export interface NetlinkRequest {
  /** How errors call it: "netdev dev-get". */
  readonly what: string;
  readonly type: number;
  /** The structure in front of the attributes. */
  readonly header: Uint8Array;
  readonly attributes?: readonly Attribute[];
  /** All objects there are, instead of one. */
  readonly dump?: boolean;
}

/** A netlink socket for questions that the kernel answers at once. Control path: blocks for the microseconds this takes. */
export class NetlinkConnection {
  readonly #calls: SystemCalls;
  readonly #descriptor: number;
  readonly #datagram = new Struct(DATAGRAM_BYTES);
  #sequence = 0;

  private constructor(calls: SystemCalls, descriptor: number) {
    this.#calls = calls;
    this.#descriptor = descriptor;
  }

  /**
   * Calls back with a connection and closes it afterwards.
   *
   * @param protocol NETLINK_GENERIC and so on
   * @throws PacketError SYSTEM_CALL when there is no such protocol, and what `work` throws
   */
  static use<Result>(calls: SystemCalls, protocol: number, work: (connection: NetlinkConnection) => Result): Result {
    const descriptor = calls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (descriptor < 0) throw systemCallError('socket AF_NETLINK', -descriptor, 'ask the kernel by netlink');
    try {
      return work(new NetlinkConnection(calls, descriptor));
    } finally {
      calls.close(descriptor);
    }
  }

  /**
   * Asks, and collects the answers.
   *
   * @throws PacketError SYSTEM_CALL with the errno that the kernel answered, or for a damaged answer; NO_PRIVILEGE
   */
  request({ what, type, header, attributes = [], dump = false }: NetlinkRequest): NetlinkMessage[] {
    const sequence = ++this.#sequence;
    // One object ends with an acknowledgement, all of them end with NLMSG_DONE.
    const flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
    const sent = this.#calls.send(this.#descriptor, composeMessage({ type, flags, sequence }, header, attributes));
    if (sent < 0) throw systemCallError('sendto', -sent, what);
    const answers: NetlinkMessage[] = [];
    for (let i = 0; i < MOST_DATAGRAMS; i++) {
      for (const message of parseMessages(this.#receive(what))) {
        if (message.sequence !== sequence) continue;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const errno = finalErrno(message);
          if (errno !== 0) throw systemCallError('netlink', errno, what);
          return answers;
        }
        answers.push(message);
      }
    }
    throw damaged(`${what} does not end`);
  }

  /** One datagram; the bytes are its own. */
  #receive(what: string): Uint8Array {
    for (;;) {
      const length = this.#calls.receive(this.#descriptor, this.#datagram);
      if (length > DATAGRAM_BYTES) throw damaged(`${what}: a datagram of ${length} bytes`);
      if (length >= 0) return this.#datagram.bytes.slice(0, length);
      if (length !== -EAGAIN && length !== -EINTR) throw systemCallError('recvfrom', -length, what);
      const events = this.#calls.poll(this.#descriptor, POLLIN, ANSWER_MILLISECONDS);
      if (events < 0 && events !== -EINTR) throw systemCallError('poll', -events, what);
      if (events === 0)
        throw new PacketError('SYSTEM_CALL', `${what}: the kernel does not answer`, {
          remedy: 'try again; a kernel that never answers has no netlink (CONFIG_NET, CONFIG_ETHTOOL_NETLINK)',
          syscall: 'poll',
        });
    }
  }
}

/** The errno (positive, or 0) that ends an answer: struct nlmsgerr, or the number after NLMSG_DONE, begins with minus it. */
function finalErrno({ type, payload }: NetlinkMessage): number {
  if (payload.length < 4) {
    if (type === NLMSG_DONE) return 0;
    throw damaged(`an error of ${payload.length} bytes`);
  }
  return -new DataView(payload.buffer, payload.byteOffset, 4).getInt32(0, true);
}
