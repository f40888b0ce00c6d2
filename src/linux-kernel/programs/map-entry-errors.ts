import { BPF_F_RDONLY, BPF_F_WRONLY, type MapDefinition, type MapType } from '../../ebpf/maps/contract.js';
import { entryError } from '../../ebpf/maps/map-errors.js';
import type { PacketError } from '../../errors.js';
import { E2BIG, EBADF, EEXIST, EINVAL, ENODEV, ENOENT, ENOSPC, ENOTSUPP, EOPNOTSUPP, EPERM } from '../constants.js';
import type { Meaning, Meanings } from '../system-call-error.js';
import { bpfError } from './bpf-error.js';

const DEVICE = 'the index of an interface of this network namespace, and perhaps a program for xdp/devmap';

/** What an entry is where it names something else, by type of map. */
const NAMED: Readonly<Partial<Record<MapType, string>>> = {
  prog_array: 'a loaded program like those that the map has already (its `handle`)',
  array_of_maps: 'a map like the one that the definition describes (its `handle`)',
  hash_of_maps: 'a map like the one that the definition describes (its `handle`)',
  devmap: DEVICE,
  devmap_hash: DEVICE,
  cpumap: 'the length of a queue, 1 to 16384, and perhaps a program for xdp/cpumap; its key is a CPU that is there',
  xskmap: 'an AF_XDP socket: openSocket with receive: { xskmap } enters its own',
};

/** What control code is told when the kernel refuses to set an entry. @param errno positive */
export function updateError(definition: MapDefinition, errno: number): PacketError {
  const { name, type, flags } = definition;
  const isOfTrie = type === 'lpm_trie' && (errno === EINVAL || errno === ENOSPC);
  const isEntry = errno === E2BIG || errno === EEXIST || errno === ENOENT || isOfTrie;
  if (isEntry) return entryError(definition, errno);
  const entry = NAMED[type];
  const wrong: Meaning =
    entry === undefined
      ? unsupported(`the kernel sets no such entry in a map of type ${type}`)
      : { code: 'INVALID_OPTION', why: 'the value names nothing that it can', remedy: `an entry is ${entry}` };
  return bpfError('BPF_MAP_UPDATE_ELEM', errno, `map ${name}: set an entry`, {
    ...refusals(wrong),
    ...((flags & BPF_F_RDONLY) !== 0 && { [EPERM]: unsupported('it may only be read from here') }),
  });
}

/** What control code is told when the kernel does not show or remove an entry. @param errno positive */
export function lookupError({ name, type, flags }: MapDefinition, errno: number): PacketError {
  return bpfError('BPF_MAP_LOOKUP_ELEM', errno, `map ${name}: read or remove an entry`, {
    ...refusals(unsupported(`the kernel shows no entries of type ${type}`)),
    ...((flags & BPF_F_WRONLY) !== 0 && { [EPERM]: unsupported('it may only be written from here') }),
  });
}

function refusals(meaning: Meaning): Meanings {
  return { [EINVAL]: meaning, [EBADF]: meaning, [ENODEV]: meaning, [ENOTSUPP]: meaning, [EOPNOTSUPP]: meaning };
}

function unsupported(why: string): Meaning {
  return { code: 'MAP_UNSUPPORTED', why, remedy: 'see which operations the type has (docs.kernel.org/bpf/maps.html)' };
}
