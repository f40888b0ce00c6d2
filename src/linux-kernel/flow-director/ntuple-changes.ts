import type { UseEthtool } from '../ethtool.js';
import { type InterfaceSettings, isInterfaceName } from '../interface-settings.js';
import type { Change } from '../journal.js';
import { matchKey } from './directed-rules.js';
import type { NtupleEntry } from './flow-spec.js';
import { NtupleTable } from './ntuple-table.js';

/** The journal's name for an entry that was added to a device's flow director. */
export const NTUPLE_SETTING = 'ntuple-entry';

/** What the journal notes of an entry: its queue, its location if that is known, and what it matches. */
export function describeEntry({ match, action }: Omit<NtupleEntry, 'location'>, location: number | undefined): string {
  const target = typeof action === 'object' ? action.queue : action;
  return `${location ?? 'any'} ${target} ${matchKey(match)}`;
}

/** Where an entry that the journal notes is, if it still is; undefined when it is gone or somebody has replaced it. */
export function findNoted(table: NtupleTable, { after }: Pick<Change, 'after'>): number | undefined {
  const [place] = after.split(' ', 1);
  const candidates = place === 'any' ? table.list() : [table.entry(Number(place))];
  return candidates.find((entry) => {
    return entry !== undefined && describeEntry(entry, place === 'any' ? undefined : entry.location) === after;
  })?.location;
}

/** Entries that a dead process has noted in the journal. */
export class NtupleChanges {
  readonly #settings: InterfaceSettings;
  readonly #useEthtool: UseEthtool;

  /** @param settings tells interfaces of the same name apart */
  constructor(settings: InterfaceSettings, useEthtool: UseEthtool) {
    this.#settings = settings;
    this.#useEthtool = useEthtool;
  }

  /** Whether the entry is there, as it was noted. */
  isInForce(change: Change): boolean {
    return this.#with(change, (table) => findNoted(table, change) !== undefined);
  }

  /** Removes it. @returns whether it was there @throws PacketError NO_PRIVILEGE, SYSTEM_CALL */
  undo(change: Change): boolean {
    return this.#with(change, (table) => {
      const location = findNoted(table, change);
      return location !== undefined && table.remove(location);
    });
  }

  #with({ interface: name, index }: Change, work: (table: NtupleTable) => boolean): boolean {
    if (!isInterfaceName(name) || this.#settings.index(name) !== index) return false;
    return this.#useEthtool(name, (port) => work(new NtupleTable(port, name)));
  }
}
