import { gunzipSync } from 'node:zlib';
import { PacketError } from '../errors.js';
import { readWholeFile } from './read-whole-file.js';

/**
 * Reads a whole capture file, unpacked where it is compressed with gzip. What is in it is the capture reader's affair.
 *
 * @throws PacketError SYSTEM_CALL when it cannot be read, CAPTURE_CORRUPT when it cannot be unpacked
 */
export async function readCapture(file: string): Promise<Uint8Array> {
  const bytes = await readWholeFile(file, 'capture file');
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes);
  } catch (cause) {
    throw new PacketError(
      'CAPTURE_CORRUPT',
      `the capture file ${file} cannot be unpacked: ${(cause as Error).message}`,
      { cause, remedy: 'check it with gzip -t; what can be saved: gzip -dc FILE > NEW' },
    );
  }
}
