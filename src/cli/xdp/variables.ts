import type { VariableValue } from '../../ebpf/object/contract.js';
import { PacketError } from '../../errors.js';
import type { CommandLine } from '../options.js';
import { readAssignments } from './assignments.js';

/** Its line of help. */
export const SET_HELP =
  '  --set NAME=VALUE  a global variable or constant of an object: 80, 0x50, -1, or bytes as 02:00:00:00:00:01; as often as needed';

/** The variables that `--set` gives values. @throws PacketError INVALID_OPTION */
export function readVariables(line: CommandLine): Record<string, VariableValue> {
  const assignments = readAssignments(line, 'set', 'VALUE');
  return Object.fromEntries([...assignments].map(([name, text]) => [name, readValue(name, text)]));
}

function readValue(name: string, text: string): VariableValue {
  const [, sign, digits] = /^(-?)(\d+|0x[\da-f]+)$/i.exec(text) ?? [];
  if (digits !== undefined) return sign === '-' ? -BigInt(digits) : BigInt(digits);
  if (/^[\da-f]{2}(:[\da-f]{2})+$/i.test(text)) {
    return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
  }
  throw new PacketError('INVALID_OPTION', `--set ${name}: "${text}" is neither a whole number nor bytes`, {
    remedy: `--set ${name}=80, 0x50 or -1; bytes have two digits each and colons between them, as 0a:00:00:01`,
  });
}
