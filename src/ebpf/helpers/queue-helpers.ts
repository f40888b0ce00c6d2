import { EFAULT, EINVAL } from '../errno.js';
import type { Machine } from '../machine.js';
import type { MapType } from '../maps/contract.js';
import { QueueMap } from '../maps/queue-map.js';
import type { Helper } from './contract.js';
import { mapArgument } from './map-helpers.js';
import { giveBack, pointerArgument, smallArgument } from './registers.js';

const QUEUES: readonly MapType[] = ['queue', 'stack'];

const mapPushElem: Helper = {
  name: 'map_push_elem',
  number: 87,
  arguments: ['map', 'map-value', 'anything'],
  returns: 'number',
  mapTypes: QUEUES,
  call(machine) {
    giveBack(machine, withValue(machine, push));
  },
};

const mapPopElem: Helper = {
  name: 'map_pop_elem',
  number: 88,
  arguments: ['map', 'map-value-out'],
  returns: 'number',
  mapTypes: QUEUES,
  call(machine) {
    giveBack(machine, withValue(machine, pop));
  },
};

const mapPeekElem: Helper = {
  name: 'map_peek_elem',
  number: 89,
  arguments: ['map', 'map-value-out'],
  returns: 'number',
  mapTypes: QUEUES,
  call(machine) {
    giveBack(machine, withValue(machine, peek));
  },
};

/** Helpers for queues and stacks. */
export const QUEUE_HELPERS: readonly Helper[] = [mapPushElem, mapPopElem, mapPeekElem];

/** Does something with the map that is the first argument and the value at the second. */
function withValue(machine: Machine, act: (machine: Machine, map: QueueMap, value: number) => number): number {
  const map = mapArgument(machine);
  if (!(map instanceof QueueMap)) return -EINVAL;
  const value = pointerArgument(machine, 2, map.definition.valueSize);
  return value < 0 ? -EFAULT : act(machine, map, value);
}

function push(machine: Machine, map: QueueMap, value: number): number {
  return map.push(machine.arena.u8, value, smallArgument(machine, 3));
}

function pop({ arena }: Machine, map: QueueMap, value: number): number {
  return map.pop(arena.u8, value);
}

function peek({ arena }: Machine, map: QueueMap, value: number): number {
  return map.peek(arena.u8, value);
}
