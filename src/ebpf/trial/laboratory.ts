import { Arena, PAGE_BYTES } from '../../arena/arena.js';
import { DEFAULT_BUDGET, PACKET_RECORD_BYTES } from '../execution.js';
import type { HelperTable } from '../helpers/contract.js';
import { interpreter } from '../interpreter/interpreter.js';
import { Machine } from '../machine.js';
import { type PreparedObject, prepareObject } from '../prepare-object.js';
import type { ProgramObject } from '../program.js';
import type { PacketOrigin } from './contract.js';
import { PacketPlaces } from './packet-places.js';

/** Bytes for maps. They are taken from memory only when touched. */
const MAP_BYTES = 2 ** 29;

/** An object prepared on a machine of its own, and places for packets beside it. */
export interface Laboratory extends PreparedObject {
  readonly machine: Machine;
  readonly places: PacketPlaces;
}

/** What a laboratory has room for, and where its packets come from. */
export interface LaboratoryOptions {
  readonly helpers: HelperTable;
  readonly origin: PacketOrigin;
  readonly packets: number;
  /** For all packets, as {@link PacketPlaces.bytesOf} counts. */
  readonly packetBytes: number;
  /** Instructions that a program may execute for a packet. */
  readonly budget?: number;
}

/** @throws PacketError as `prepareObject` does */
export function openLaboratory(object: ProgramObject, options: LaboratoryOptions): Laboratory {
  const { helpers, origin, packets, packetBytes, budget = DEFAULT_BUDGET } = options;
  const arena = Arena.create(MAP_BYTES + packetBytes + packets * PACKET_RECORD_BYTES + 16 * PAGE_BYTES);
  const machine = new Machine(arena, { helpers, budget, bytes: MAP_BYTES });
  // The end of the stack is then no map's first value, and a pointer's meaning plain.
  machine.allocate(1);
  const places = new PacketPlaces(arena, origin, packets, packetBytes);
  return { machine, places, ...prepareObject(object, machine, interpreter) };
}
