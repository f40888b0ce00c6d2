import { getSystemErrorMap } from 'node:util';
import { type ErrorCode, PacketError } from '../errors.js';
import { EACCES, ENOTSUPP, EOPNOTSUPP, EPERM } from './constants.js';

/** "EBUSY", or "errno 524" where the number has no name. */
export function errnoName(errno: number): string {
  if (errno === ENOTSUPP) return 'ENOTSUPP';
  if (errno === EOPNOTSUPP) return 'EOPNOTSUPP'; // Node names it by its twin, ENOTSUP
  return getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
}

/** What one errno of one call means to the user, where that is more than its name. */
export interface Meaning {
  readonly code: ErrorCode;
  /** What is the case, as the end of a sentence: "the driver has no zero-copy". */
  readonly why: string;
  readonly remedy: string;
}

/** Meanings by errno (positive). */
export type Meanings = Readonly<Record<number, Meaning>>;

/**
 * The error of a failed system call.
 *
 * @param syscall the call with its option or command, "setsockopt XDP_UMEM_REG"
 * @param errno positive
 * @param what what was wanted, as the beginning of a sentence: "bind to queue 3 of eth1 in xdp-zc"
 * @param meanings what its errnos mean here; others become SYSTEM_CALL, and "not permitted" NO_PRIVILEGE
 * @param capability the capability that the call needs
 */
export function systemCallError(
  syscall: string,
  errno: number,
  what: string,
  meanings: Meanings = {},
  capability = 'CAP_NET_ADMIN',
): PacketError {
  const name = errnoName(errno);
  const meaning = meanings[errno];
  if (meaning !== undefined) {
    const { code, why, remedy } = meaning;
    return new PacketError(code, `${what}: ${why} (${syscall}: ${name})`, { syscall, errno, remedy });
  }
  if (errno === EPERM || errno === EACCES) {
    return new PacketError('NO_PRIVILEGE', `${what}: not permitted without ${capability} (${syscall}: ${name})`, {
      syscall,
      errno,
      remedy: `run as root, or give the program ${capability}`,
    });
  }
  const text = getSystemErrorMap().get(-errno)?.[1];
  return new PacketError(
    'SYSTEM_CALL',
    `${what}: ${syscall} failed with ${name}${text === undefined ? '' : ` (${text})`}`,
    { syscall, errno, remedy: '`tp4 doctor` tells what stands in the way of packet sockets here' },
  );
}
