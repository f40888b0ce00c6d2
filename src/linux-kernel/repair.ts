import { PacketError } from '../errors.js';
import { Ethtool, type UseEthtool } from './ethtool.js';
import { NTUPLE_SETTING, NtupleChanges } from './flow-director/ntuple-changes.js';
import { InterfaceSettings, isSetting } from './interface-settings.js';
import { type Change, Journal } from './journal.js';
import { findNamespace, networkNamespace } from './network-namespaces.js';
import { SystemCalls } from './system-calls.js';

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
  readonly useEthtool?: UseEthtool;
}

/** What the changes of one kind are undone by. */
interface Undoing {
  /** Whether a change is still in force. */
  isInForce(change: Change): boolean;
  /** @returns whether it was */
  undo(change: Change): boolean;
}

/** What is undone here, and by what. */
interface Workshop {
  readonly journal: Journal;
  readonly namespace: number;
  readonly settings: Undoing;
  readonly entries: Undoing;
}

/**
 * Undoes what processes that are dead have noted in the journal and not undone themselves. Changes in another network namespace are
 * kept: whoever runs there next undoes them. Never throws.
 *
 * @param changing false only says what would be undone
 */
export function repair(changing = true, surroundings: RepairSurroundings = {}): RepairReport {
  const { journal = new Journal(), settings = new InterfaceSettings(), namespace = networkNamespace() } = surroundings;
  const entries = new NtupleChanges(settings, surroundings.useEthtool ?? useDriver);
  const workshop = { journal, settings, entries, namespace };
  if (!changing) return repairAll(false, workshop);
  const { files, damaged } = journal.read();
  if (files.length === 0 && damaged.length === 0) return { repairs: [], discarded: [] }; // and no folder need be made
  try {
    return journal.exclusively(() => repairAll(true, workshop));
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return { repairs: [], discarded: [] }; // somebody else is at it
  }
}

function repairAll(changing: boolean, workshop: Workshop): RepairReport {
  const { journal } = workshop;
  const { files, damaged } = journal.read();
  const dead = files.filter((file) => journal.isAlive(file) === false);
  const stillUsed = files.filter((file) => !dead.includes(file)).flatMap(({ changes }) => changes);
  const repairs: Repair[] = [];
  for (const file of dead) {
    const left: Change[] = [];
    // The last change first: it may have been made upon an earlier one.
    for (const change of [...file.changes].reverse()) {
      const result = repairOne(change, stillUsed, workshop, changing);
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
  { settings, entries, namespace }: Workshop,
  changing: boolean,
): Repair {
  const undoing = isSetting(change.setting) ? settings : change.setting === NTUPLE_SETTING ? entries : undefined;
  if (undoing === undefined) return { change, outcome: 'kept', why: 'another version of tpacket4 has made it' };
  if (change.namespace !== namespace) return elsewhere(change);
  // Another process has changed the same setting since, and noted the same value from before: it will put that back.
  if (stillUsed.some((other) => sameSetting(other, change))) return { change, outcome: 'void' };
  try {
    if (changing) return { change, outcome: undoing.undo(change) ? 'undone' : 'void' };
    return { change, outcome: undoing.isInForce(change) ? 'pending' : 'void' };
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

/** Asks interfaces' drivers, by the system calls of this process. */
const useDriver: UseEthtool = (name, work) => {
  const calls = SystemCalls.loaded;
  if (calls !== undefined) return Ethtool.use(calls, name, work);
  throw new PacketError('UNSUPPORTED_PLATFORM', 'the system calls that undo it are not there', {
    remedy: 'run it on Linux, where the package koffi loads',
  });
};

/** Whether two changes are of the same setting of the same interface. Entries are a setting each. */
export function sameSetting(a: Change, b: Change): boolean {
  if (a.setting === NTUPLE_SETTING && a.after !== b.after) return false;
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
