import { checkInteger, PacketError } from '../errors.js';
import { checkOptionNames } from '../options.js';
import { InterfaceSettings, isInterfaceName, type Setting } from './interface-settings.js';
import { type Change, Journal } from './journal.js';
import { networkNamespace } from './network-namespaces.js';
import { repair, sameSetting } from './repair.js';

/**
 * How an interface's driver divides its work between interrupts and polling (NAPI). Sockets that poll themselves want the
 * interrupts held back: `{ deferHardIrqs: 2, groFlushTimeoutNanoseconds: 200_000 }`, as the kernel's documentation of AF_XDP
 * has it. The settings are the whole interface's, and are put back when the last socket that asked for them is closed.
 */
export interface NapiOptions {
  /** How often the driver polls and finds nothing before interrupts are enabled again, 0 to 2^31 - 1 (napi_defer_hard_irqs). */
  readonly deferHardIrqs: number;
  /** After how many nanoseconds without a poll the driver is polled all the same, 0 to 2^53 (gro_flush_timeout). */
  readonly groFlushTimeoutNanoseconds: number;
}

/** Where settings and journal are; tests give their own. */
export interface NapiSurroundings {
  readonly journal?: Journal;
  readonly settings?: InterfaceSettings;
  readonly namespace?: number;
}

/** NAPI settings that sockets of this process hold, by namespace and interface. */
const held = new Map<string, HeldSettings>();

/**
 * Changes an interface's NAPI settings, which is noted in the journal first.
 *
 * @returns puts the old ones back, once the last of this process's callers has called it; idempotent
 * @throws PacketError INVALID_OPTION, NO_INTERFACE, NO_PRIVILEGE, MODE_UNSUPPORTED (a kernel without them), WRONG_STATE (other
 *   settings are held for the interface), SYSTEM_CALL
 */
export function withNapiSettings(name: string, options: NapiOptions, surroundings: NapiSurroundings = {}): () => void {
  checkOptionNames('napi', options, ['deferHardIrqs', 'groFlushTimeoutNanoseconds'] satisfies (keyof NapiOptions)[]);
  const deferHardIrqs = checkInteger('napi.deferHardIrqs', options.deferHardIrqs, 0, 2 ** 31 - 1);
  const timeout = options.groFlushTimeoutNanoseconds;
  checkInteger('napi.groFlushTimeoutNanoseconds', timeout, 0, Number.MAX_SAFE_INTEGER);
  const values: Record<Setting, string> = { napi_defer_hard_irqs: `${deferHardIrqs}`, gro_flush_timeout: `${timeout}` };
  const { settings = new InterfaceSettings(), namespace = networkNamespace(), journal = Journal.own() } = surroundings;
  const index = isInterfaceName(name) ? settings.index(name) : undefined;
  if (index === undefined) {
    throw new PacketError('NO_INTERFACE', `napi: /sys shows no interface ${name}`, {
      remedy: 'enter its network namespace with `ip netns exec`, which also mounts its /sys',
    });
  }
  const key = `${namespace} ${index}`;
  let holder = held.get(key);
  if (holder === undefined) {
    const made = new HeldSettings(settings, journal, values);
    journal.exclusively(() => {
      repair(true, { journal, settings, namespace }); // or a dead process' values would pass for the ones from before
      made.apply(name, index, namespace);
    });
    holder = made;
    if (held.size === 0) process.on('exit', undoAll);
    held.set(key, holder);
  } else holder.share(name, values);
  let released = false;
  return () => {
    if (released) return;
    released = true;
    if (!holder.release()) return;
    held.delete(key);
    if (held.size === 0) process.off('exit', undoAll);
  };
}

/** A process that ends without closing its sockets puts the settings back all the same. */
function undoAll(): void {
  for (const holder of held.values()) holder.undo();
}

/** The settings of one interface, for as long as somebody in this process wants them. */
class HeldSettings {
  readonly #settings: InterfaceSettings;
  readonly #journal: Journal;
  readonly #values: Readonly<Record<Setting, string>>;
  readonly #changes: Change[] = [];
  #users = 1;

  constructor(settings: InterfaceSettings, journal: Journal, values: Readonly<Record<Setting, string>>) {
    this.#settings = settings;
    this.#journal = journal;
    this.#values = values;
  }

  apply(name: string, index: number, namespace: number): void {
    try {
      for (const [setting, after] of Object.entries(this.#values) as [Setting, string][]) {
        const before = this.#before({ setting, interface: name, index, namespace, before: '', after });
        const change = { setting, interface: name, index, namespace, before, after };
        this.#journal.add(change);
        this.#changes.push(change);
        this.#settings.write(name, setting, after);
      }
    } catch (error) {
      this.undo();
      throw error;
    }
  }

  /** The value that nobody has changed: what another process has noted that changed it, too, or what is there. */
  #before(change: Change): string {
    const earlier = this.#journal.others().find((other) => sameSetting(other, change));
    return earlier?.before ?? this.#settings.read(change.interface, change.setting as Setting);
  }

  share(name: string, values: Readonly<Record<Setting, string>>): void {
    for (const [setting, value] of Object.entries(values) as [Setting, string][]) {
      if (this.#values[setting] === value) continue;
      throw new PacketError(
        'WRONG_STATE',
        `napi: other sockets of this process hold ${setting} of ${name} at ${this.#values[setting]}, not ${value}`,
        { remedy: 'open all sockets of the interface with the same NAPI settings' },
      );
    }
    this.#users++;
  }

  /** @returns whether that was the last user, and the settings are put back */
  release(): boolean {
    if (--this.#users > 0) return false;
    this.undo();
    return true;
  }

  undo(): void {
    try {
      this.#journal.exclusively(() => this.#undo());
    } catch {
      this.#undo(); // somebody does not give the lock back: better at a bad moment than never
    }
  }

  #undo(): void {
    for (const change of this.#changes.splice(0).reverse()) {
      // Another process that holds the same setting has noted the same value from before, and puts it back.
      const isHeld = this.#journal.others().some((other) => sameSetting(other, change));
      try {
        if (!isHeld) this.#settings.undo(change);
      } catch {
        continue; // stays noted, so that it can be repaired
      }
      this.#journal.remove(change);
    }
  }
}
