import { PacketError } from '../../errors.js';

/**
 * The error for bytes that are no object, or a damaged one.
 *
 * @param where section, symbol or slot
 */
export function corrupt(where: string, why: string): PacketError {
  return new PacketError('PROGRAM_CORRUPT', `${where}: ${why}`, {
    remedy: 'the object file is damaged or no eBPF object: compile it anew (clang -target bpf -O2 -g -c)',
  });
}

/** The error for objects that are whole, but ask for what is not there. */
export function unsupported(where: string, why: string, remedy: string): PacketError {
  return new PacketError('PROGRAM_UNSUPPORTED', `${where}: ${why}`, { remedy });
}

/** Most names that a message lists. */
const MOST_NAMES = 20;

/** The error for a program, map or variable that somebody has asked for by name and that is not in the object. */
export function missing(what: string, name: string, known: readonly string[]): PacketError {
  const listed = known.slice(0, MOST_NAMES).join(', ') + (known.length > MOST_NAMES ? ', …' : '');
  return new PacketError('INVALID_OPTION', `the object has no ${what} ${name}`, {
    remedy: known.length === 0 ? `it has no ${what} at all` : `it has ${listed}`,
  });
}
