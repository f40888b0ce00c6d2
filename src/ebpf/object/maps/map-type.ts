import { MAP_TYPES, type MapType } from '../../maps/contract.js';
import { unsupported } from '../damage.js';

const NAMES = new Map<number, MapType>((Object.keys(MAP_TYPES) as MapType[]).map((name) => [MAP_TYPES[name], name]));

/** The type of map that has a number. @throws PacketError PROGRAM_UNSUPPORTED */
export function mapTypeOf(where: string, number: number): MapType {
  const type = NAMES.get(number);
  if (type !== undefined) return type;
  throw unsupported(where, `maps of type ${number} are not among those of XDP programs`, 'leave the map out');
}
