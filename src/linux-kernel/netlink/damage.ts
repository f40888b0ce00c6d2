import { PacketError } from '../../errors.js';

/** The error for an answer whose lengths contradict each other. */
export function damaged(what: string): PacketError {
  return new PacketError('SYSTEM_CALL', `the kernel's netlink answer is damaged: ${what}`, {
    remedy: 'try again; if it stays, report it with the kernel version (`uname -r`)',
    syscall: 'recvfrom',
  });
}
