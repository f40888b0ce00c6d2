import { EINVAL } from '../errno.js';
import type { Machine } from '../machine.js';

/** Most bytes of a text that is put in for %s. */
const LONGEST_TEXT = 512;
/** A conversion, as the kernel knows them: %d %i %u %x %X with l or ll, %c, %s, %p and %pI4, %pI6; with flags and a width. */
const CONVERSION = /%(?:%|([-+ #0]*)(\d{0,3})(?:(l{0,2})([diuxX])|(c)|(s)|p(I[46]c?|i[46])?))/g;

/**
 * Formats text as the kernel's helpers that print do.
 *
 * @param values what the conversions print, in their order: 64 bits as two words each, the lower one first, at indices of the arena's words
 * @returns the text, or a negative errno where the format is none, or has more conversions than values
 */
export function formatText(machine: Machine, format: string, values: readonly number[]): string | number {
  if (/[^\x20-\x7e\s]/.test(format)) return -EINVAL;
  // What is left without its conversions must have no other per cent sign.
  if (format.replace(CONVERSION, '').includes('%')) return -EINVAL;
  let used = 0;
  let failed = 0;
  const text = format.replace(
    CONVERSION,
    (whole, flags = '', width = '', size = '', integer, character, string, address) => {
      if (whole === '%%') return '%';
      const at = values[used++];
      if (at === undefined) {
        failed = -EINVAL;
        return '';
      }
      const shown =
        integer !== undefined
          ? integerText(machine, at, size, integer, flags)
          : character !== undefined
            ? String.fromCharCode(machine.arena.i32[at]! & 0xff)
            : string !== undefined
              ? memoryText(machine, at)
              : pointerText(machine, at, address);
      return pad(shown, flags, Number(width));
    },
  );
  return failed < 0 ? failed : text;
}

function integerText(machine: Machine, at: number, size: string, conversion: string, flags: string): string {
  const { i32 } = machine.arena;
  const low = BigInt(i32[at]! >>> 0);
  const bits = size === '' ? 32 : 64;
  const unsigned = bits === 32 ? low : low | (BigInt(i32[at + 1]! >>> 0) << 32n);
  if (conversion === 'u') return `${unsigned}`;
  if (conversion === 'd' || conversion === 'i') {
    const signed = BigInt.asIntN(bits, unsigned);
    return signed >= 0n && flags.includes('+') ? `+${signed}` : `${signed}`;
  }
  const digits = unsigned.toString(16);
  const text = flags.includes('#') ? `0x${digits}` : digits;
  return conversion === 'X' ? text.toUpperCase() : text;
}

/** Text in memory up to its final zero; as much as the program may touch. */
function memoryText(machine: Machine, at: number): string {
  const { i32, u8 } = machine.arena;
  const address = i32[at]!;
  let text = '';
  while (text.length < LONGEST_TEXT && machine.reaches(address + text.length, i32[at + 1]!, 1)) {
    const byte = u8[address + text.length]!;
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** A pointer's number, or the IP address that it leads to. */
function pointerText(machine: Machine, at: number, address: string | undefined): string {
  const { i32, u8 } = machine.arena;
  const pointer = i32[at]!;
  if (address === undefined) return (pointer >>> 0).toString(16).padStart(16, '0');
  const bytes = address[1] === '4' ? 4 : 16;
  if (!machine.reaches(pointer, i32[at + 1]!, bytes)) return '(efault)';
  const parts = u8.slice(pointer, pointer + bytes);
  if (bytes === 4)
    return address[0] === 'i' ? [...parts].map((part) => `${part}`.padStart(3, '0')).join('.') : parts.join('.');
  const words = Array.from({ length: 8 }, (_, i) =>
    ((parts[2 * i]! << 8) | parts[2 * i + 1]!).toString(16).padStart(4, '0'),
  );
  return words.join(address[0] === 'i' ? '' : ':');
}

function pad(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0')) return text.padStart(width);
  const sign = /^([-+]|0x)?/.exec(text)![0];
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
}
