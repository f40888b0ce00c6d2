import { PacketError } from '../errors.js';
import { InterfaceSettings, isSetting } from './interface-settings.js';
import { type Change, Journal } from './journal.js';
import { findNamespace, networkNamespace } from './network-namespaces.js';

/** What became of one change that a dead process had left behind. */
export interface Repair {
  /** As its process had noted it. */
  readonly change: Change;
  /**
   * `undone`; `pending` when only asked what would be; `void` when there was nothing to put back (interface or namespace are gone, or the
   * value was changed since); `kept` when it could not be undone here, and `why`.
   */
  readonly outcome: 'undone' | 'pending' | 'void' | 'kept';
  /** For `kept`: a sentence without its full stop. */
  readonly why?: string;
  /** For `kept`, where something helps: the command. */
  readonly remedy?: string;
}

/** What `repair` did. */
export interface RepairReport {
  /** One for each change that dead processes had noted; of each process the last change first. */
  readonly repairs: readonly Repair[];
  /** Damaged journal files that were removed. */
  readonly discarded: readonly string[];
}

/** Where journal and settings are; tests give their own. */
export interface RepairSurroundings {
  readonly journal?: Journal;
  readonly settings?: InterfaceSettings;
  readonly namespace?: number;
}

/**
 * Undoes what processes that are dead have noted in the journal and not undone themselves. Changes in another network namespace are
 * kept: whoever runs there next undoes them. Never throws.
 *
 * @param changing false only says what would be undone
 */
export function repair(changing = true, surroundings: RepairSurroundings = {}): RepairReport {
  const { journal = new Journal(), settings = new InterfaceSettings(), namespace = networkNamespace() } = surroundings;
  if (!changing) return repairAll(false, journal, settings, namespace);
  const { files, damaged } = journal.read();
  if (files.length === 0 && damaged.length === 0) return { repairs: [], discarded: [] }; // and no folder need be made
  try {
    return journal.exclusively(() => repairAll(true, journal, settings, namespace));
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return { repairs: [], discarded: [] }; // somebody else is at it
  }
}

function repairAll(changing: boolean, journal: Journal, settings: InterfaceSettings, namespace: number): RepairReport {
  const { files, damaged } = journal.read();
  const dead = files.filter((file) => journal.isAlive(file) === false);
  const stillUsed = files.filter((file) => !dead.includes(file)).flatMap(({ changes }) => changes);
  const repairs: Repair[] = [];
  for (const file of dead) {
    const left: Change[] = [];
    // The last change first: it may have been made upon an earlier one.
    for (const change of [...file.changes].reverse()) {
      const result = repairOne(change, stillUsed, settings, namespace, changing);
      repairs.push(result);
      if (result.outcome === 'kept') left.unshift(change);
    }
    if (changing) attempt(() => journal.keep(file, left));
  }
  if (changing) for (const path of damaged) attempt(() => journal.discard(path));
  return { repairs, discarded: damaged };
}

function repairOne(
  change: Change,
  stillUsed: readonly Change[],
  settings: InterfaceSettings,
  namespace: number,
  changing: boolean,
): Repair {
  if (!isSetting(change.setting)) return { change, outcome: 'kept', why: 'another version of tpacket4 has made it' };
  if (change.namespace !== namespace) return elsewhere(change);
  // Another process has changed the same setting since, and noted the same value from before: it will put that back.
  if (stillUsed.some((other) => sameSetting(other, change))) return { change, outcome: 'void' };
  try {
    if (changing) return { change, outcome: settings.undo(change) ? 'undone' : 'void' };
    return { change, outcome: settings.isInForce(change) ? 'pending' : 'void' };
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return { change, outcome: 'kept', why: error.message };
  }
}

function elsewhere(change: Change): Repair {
  const { exists, name = 'NAME' } = findNamespace(change.namespace);
  if (exists === false) return { change, outcome: 'void' };
  const remedy = `ip netns exec ${name} tp4 doctor --repair`;
  return { change, outcome: 'kept', why: 'it is in another network namespace', remedy };
}

/** Whether two changes are of the same setting of the same interface. */
export function sameSetting(a: Change, b: Change): boolean {
  return a.setting === b.setting && a.interface === b.interface && a.index === b.index && a.namespace === b.namespace;
}

/** The journal's folder may have become unwritable: then the next start tries again. */
function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // see above
  }
}
