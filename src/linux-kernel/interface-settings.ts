import { readFileSync, writeFileSync } from 'node:fs';
import { PacketError } from '../errors.js';
import type { Change } from './journal.js';

/** Settings in /sys/class/net/INTERFACE that are changed and undone here: the only files that a journal may name. */
export const SETTINGS = ['napi_defer_hard_irqs', 'gro_flush_timeout'] as const;
export type Setting = (typeof SETTINGS)[number];

const SYSFS = '/sys/class/net';

/** Interfaces' settings as /sys has them: whole numbers in text files. */
export class InterfaceSettings {
  readonly #sysfs: string;

  constructor(sysfs = SYSFS) {
    this.#sysfs = sysfs;
  }

  /** @throws PacketError MODE_UNSUPPORTED (a kernel without the setting) */
  read(name: string, setting: Setting): string {
    try {
      return readFileSync(`${this.#sysfs}/${name}/${setting}`, 'utf8').trim();
    } catch (cause) {
      throw new PacketError('MODE_UNSUPPORTED', `${name} has no setting ${setting}: ${(cause as Error).message}`, {
        cause,
        remedy: 'Linux from 5.12; in a network namespace, `ip netns exec` mounts its /sys',
      });
    }
  }

  /** @throws PacketError NO_PRIVILEGE, SYSTEM_CALL */
  write(name: string, setting: Setting, value: string): void {
    try {
      writeFileSync(`${this.#sysfs}/${name}/${setting}`, value);
    } catch (cause) {
      const { code, errno = 0, message } = cause as NodeJS.ErrnoException;
      const refused = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
      throw new PacketError(refused ? 'NO_PRIVILEGE' : 'SYSTEM_CALL', `set ${setting} of ${name}: ${message}`, {
        cause,
        syscall: 'write',
        errno: Math.abs(errno),
        remedy: refused
          ? 'run as root; containers need /sys mounted writable'
          : `check that the interface is still there: tp4 devices ${name}`,
      });
    }
  }

  /** Index of the interface that /sys shows under a name; undefined when there is none. */
  index(name: string): number | undefined {
    try {
      return Number(readFileSync(`${this.#sysfs}/${name}/ifindex`, 'utf8'));
    } catch {
      return undefined;
    }
  }

  /** Whether a change is still in force: the interface is there, and nobody has changed the value since. */
  isInForce({ interface: name, setting, index, after }: Change): boolean {
    if (!isSetting(setting) || !isInterfaceName(name) || this.index(name) !== index) return false;
    return this.read(name, setting) === after;
  }

  /**
   * Puts the value from before a change back, if the change is in force.
   *
   * @returns whether it was
   * @throws PacketError NO_PRIVILEGE, SYSTEM_CALL
   */
  undo(change: Change): boolean {
    const { interface: name, setting, before } = change;
    if (!isSetting(setting) || !/^\d{1,20}$/.test(before) || !this.isInForce(change)) return false;
    this.write(name, setting, before);
    return true;
  }
}

/** Whether a text can name an interface, and so is no path to elsewhere. */
export function isInterfaceName(text: string): boolean {
  return /^[^\s/]{1,15}$/.test(text) && text !== '.' && text !== '..';
}

export function isSetting(text: string): text is Setting {
  return (SETTINGS as readonly string[]).includes(text);
}
