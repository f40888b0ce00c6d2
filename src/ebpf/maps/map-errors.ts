import { checkInteger, PacketError } from '../../errors.js';
import { E2BIG, EEXIST, ENOENT, ENOSPC } from '../errno.js';
import { BPF_ANY, BPF_EXIST, BPF_F_RDONLY, BPF_F_WRONLY, type MapDefinition, type MapType } from './contract.js';

/** Types whose keys are indices below the number of entries. */
const INDEXED: readonly MapType[] = [
  'array',
  'percpu_array',
  'prog_array',
  'perf_event_array',
  'array_of_maps',
  'devmap',
  'cpumap',
  'xskmap',
];

/** @throws PacketError INVALID_OPTION unless key or value has its length */
export function checkBytes({ name }: MapDefinition, what: 'key' | 'value', bytes: Uint8Array, length: number): void {
  if (bytes.length === length) return;
  throw new PacketError('INVALID_OPTION', `map ${name}: a ${what} of ${bytes.length} bytes`, {
    remedy: `give ${length} bytes`,
  });
}

/** @throws PacketError INVALID_OPTION unless they are BPF_ANY, BPF_NOEXIST or BPF_EXIST */
export function refuseFlags(flags: number): void {
  checkInteger('map update flags', flags, BPF_ANY, BPF_EXIST);
}

/** @throws PacketError MAP_UNSUPPORTED where nothing but the initial value may be in it */
export function refuseFrozen({ name, frozen }: MapDefinition): void {
  if (frozen !== true) return;
  throw new PacketError('MAP_UNSUPPORTED', `map ${name} is frozen: its contents are constants of the program`, {
    remedy: 'change the values in the definition, before the map is made',
  });
}

/** @throws PacketError MAP_UNSUPPORTED where control code may only write */
export function refuseReading({ name, flags }: MapDefinition): void {
  if ((flags & BPF_F_WRONLY) !== 0) throw refusedAccess(name, 'written');
}

/** @throws PacketError MAP_UNSUPPORTED where control code may only read, or nobody may change it */
export function refuseWriting(definition: MapDefinition): void {
  refuseFrozen(definition);
  if ((definition.flags & BPF_F_RDONLY) !== 0) throw refusedAccess(definition.name, 'read');
}

function refusedAccess(name: string, may: 'read' | 'written'): PacketError {
  return new PacketError('MAP_UNSUPPORTED', `map ${name}: it may only be ${may} from here`, {
    remedy: 'leave BPF_F_RDONLY and BPF_F_WRONLY out of its flags',
  });
}

/** What control code is told when a map refuses an entry. @param errno positive */
export function entryError({ name, type, maxEntries }: MapDefinition, errno: number): PacketError {
  switch (errno) {
    case ENOSPC: // of a trie
    case E2BIG: {
      const isIndexed = INDEXED.includes(type);
      return new PacketError('MAP_FULL', `map ${name}: ${isIndexed ? 'no entry has this index' : 'it is full'}`, {
        errno,
        remedy: isIndexed
          ? `its indices are 0 to ${maxEntries - 1}: make it with more entries`
          : `it has room for ${maxEntries} entries: make it with more`,
      });
    }
    case EEXIST:
      return new PacketError('MAP_ENTRY', `map ${name}: the key has a value already`, {
        errno,
        remedy: 'update with BPF_ANY or BPF_EXIST',
      });
    case ENOENT:
      return new PacketError('MAP_ENTRY', `map ${name}: the key has no value`, {
        errno,
        remedy: 'update with BPF_ANY or BPF_NOEXIST',
      });
    default:
      return new PacketError('INVALID_OPTION', `map ${name}: no entry can have this key`, {
        errno,
        remedy: 'give a prefix length within the bits of the key',
      });
  }
}
