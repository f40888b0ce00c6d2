import { PacketError } from '../../errors.js';
import type { CommandLine } from '../options.js';

/** The values of an option that is given as often as needed, `--set NAME=VALUE`. @throws PacketError INVALID_OPTION */
export function readAssignments(line: CommandLine, option: string, what: string): Map<string, string> {
  const assignments = new Map<string, string>();
  for (const text of line.texts(option)) {
    const at = text.indexOf('=');
    const [name, value] = [text.slice(0, at), text.slice(at + 1)];
    if (at < 1 || value === '') {
      throw new PacketError('INVALID_OPTION', `--${option}: "${text}" is not NAME=${what}`, {
        remedy: `--${option} NAME=${what}`,
      });
    }
    if (assignments.has(name)) {
      throw new PacketError('INVALID_OPTION', `--${option}: ${name} is there twice`, { remedy: 'say it once' });
    }
    assignments.set(name, value);
  }
  return assignments;
}
