import { readFile } from 'node:fs/promises';
import { PacketError } from '../errors.js';

/**
 * Reads a file.
 *
 * @param what what the file is, as messages name it: `capture file`
 * @throws PacketError SYSTEM_CALL
 */
export async function readWholeFile(file: string, what: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    const { code, errno, syscall } = cause as NodeJS.ErrnoException;
    throw new PacketError('SYSTEM_CALL', `the ${what} ${file} cannot be read: ${code ?? String(cause)}`, {
      cause,
      ...(syscall !== undefined && { syscall }),
      ...(errno !== undefined && { errno: Math.abs(errno) }),
      remedy:
        code === 'ENOENT'
          ? 'check the path; relative paths start at the current directory'
          : 'check that it is a readable file',
    });
  }
}
