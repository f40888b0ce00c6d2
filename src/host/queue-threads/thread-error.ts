import { PacketError } from '../../errors.js';
import type { ThreadError } from './protocol.js';

/** An error as a message carries it; what cannot be copied is told by its text. */
export function packError(error: unknown): ThreadError {
  if (error instanceof PacketError) return { packetError: error.toJSON() };
  try {
    return { other: structuredClone(error) };
  } catch {
    return { other: new Error(String(error)) };
  }
}

export function unpackError(error: ThreadError): unknown {
  return 'packetError' in error ? PacketError.fromJSON(error.packetError) : error.other;
}
