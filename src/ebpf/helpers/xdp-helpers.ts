import { checkOptionNames } from '../../options.js';
import { RoutingTable } from '../routing/routing-table.js';
import { ADJUST_HELPERS } from './adjust-helpers.js';
import type { Helper, HelperTable } from './contract.js';
import { generalHelpers } from './general-helpers.js';
import { HINT_FUNCTIONS } from './hint-functions.js';
import { MAP_HELPERS } from './map-helpers.js';
import { processNanoseconds, randomWord, type XdpHelperOptions } from './options.js';
import { PACKET_HELPERS } from './packet-helpers.js';
import { printHelpers } from './print-helpers.js';
import { QUEUE_HELPERS } from './queue-helpers.js';
import { RECORD_HELPERS } from './record-helpers.js';
import { REDIRECT_HELPERS } from './redirect-helpers.js';
import { routingHelpers } from './routing-helpers.js';
import { timeHelpers } from './time-helpers.js';

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

/** What XDP programs may call, with surroundings of one's own. @throws PacketError INVALID_OPTION for an unknown option */
export function createXdpHelpers(options: XdpHelperOptions = {}): HelperTable {
  checkOptionNames('XDP helpers', options, ['trace', 'routes', 'nanoseconds', 'random']);
  const {
    trace = () => {},
    routes = new RoutingTable(),
    nanoseconds = processNanoseconds,
    random = randomWord,
  } = options;
  return createHelperTable([
    ...MAP_HELPERS,
    ...QUEUE_HELPERS,
    ...RECORD_HELPERS,
    ...generalHelpers(random),
    ...timeHelpers(nanoseconds),
    ...printHelpers(trace),
    ...REDIRECT_HELPERS,
    ...ADJUST_HELPERS,
    ...PACKET_HELPERS,
    ...routingHelpers(routes),
    ...HINT_FUNCTIONS,
  ]);
}

/** What XDP programs may call, where nothing is printed, no route is known, and time and random numbers are the process's. */
export const XDP_HELPERS: HelperTable = createXdpHelpers();
