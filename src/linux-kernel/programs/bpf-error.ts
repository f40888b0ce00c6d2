import type { PacketError } from '../../errors.js';
import { type Meanings, systemCallError } from '../system-call-error.js';

/** What loading and attaching programs needs. */
const CAPABILITIES = 'CAP_BPF and CAP_NET_ADMIN';

/**
 * The error of a failed bpf(2).
 *
 * @param command as linux/bpf.h names it: "BPF_MAP_CREATE"
 * @param errno positive
 * @param what what was wanted, as the beginning of a sentence
 * @param meanings what its errnos mean here
 */
export function bpfError(command: string, errno: number, what: string, meanings: Meanings = {}): PacketError {
  return systemCallError(`bpf ${command}`, errno, what, meanings, CAPABILITIES);
}
