import type { Helper, HelperTable } from './contract.js';
import { GENERAL_HELPERS } from './general-helpers.js';
import { MAP_HELPERS } from './map-helpers.js';
import { PACKET_HELPERS } from './packet-helpers.js';
import { REDIRECT_HELPERS } from './redirect-helpers.js';

/** A table of helpers. Of two with one number or name the later one counts. */
export function createHelperTable(helpers: Iterable<Helper>): HelperTable {
  const numbered = new Map<number, Helper>();
  const named = new Map<string, Helper>();
  for (const helper of helpers) {
    if (helper.number === undefined) named.set(helper.name, helper);
    else numbered.set(helper.number, helper);
  }
  return { byNumber: (number) => numbered.get(number), byName: (name) => named.get(name) };
}

/** What XDP programs may call. */
export const XDP_HELPERS: HelperTable = createHelperTable([
  ...MAP_HELPERS,
  ...GENERAL_HELPERS,
  ...REDIRECT_HELPERS,
  ...PACKET_HELPERS,
]);
