import { readlinkSync } from 'node:fs';
import { MAP_TYPES, type MapContents, type MapDefinition, type MapType } from '../../ebpf/maps/contract.js';
import { PacketError } from '../../errors.js';
import { mapDifference } from '../../kernel/object-choice.js';
import { BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD, BPF_OBJ_PIN, EEXIST, EINVAL, ENOENT, EPERM } from '../constants.js';
import { Struct } from '../struct.js';
import type { Meanings } from '../system-call-error.js';
import type { SystemCalls } from '../system-calls.js';
import { bpfError } from './bpf-error.js';
import { expectLinuxMap, LinuxMap } from './linux-map.js';

/** Where loaders pin maps by name (LIBBPF_PIN_BY_NAME). */
export const PIN_FOLDER = '/sys/fs/bpf';

const MOUNT_REMEDY = `\`mount -t bpf bpf ${PIN_FOLDER}\` makes such a file system`;

/**
 * Opens a map that somebody has pinned, with the definition that the kernel tells of it: without what it once began with, and of a map of
 * maps without what those are like.
 *
 * @param path in a BPF file system
 * @returns a map that is the caller's to close; the pin stays
 * @throws PacketError INVALID_OPTION (no map is pinned there), MAP_UNSUPPORTED (of a type that has no name here), NO_PRIVILEGE, SYSTEM_CALL
 */
export function openPinnedMap(calls: SystemCalls, path: string): LinuxMap {
  const map = findPinnedMap(calls, path);
  if (map !== undefined) return map;
  throw new PacketError('INVALID_OPTION', `nothing is pinned at ${path}`, {
    syscall: 'bpf BPF_OBJ_GET',
    errno: ENOENT,
    remedy: `give the path of a map that was pinned; ${MOUNT_REMEDY}, \`bpftool map list\` lists the maps`,
  });
}

/**
 * Pins a map under a path, by which other programs can open it; it then stays when this one has ended, until the file is removed.
 *
 * @throws PacketError INVALID_OPTION (something is there already, or it is in no BPF file system), NO_PRIVILEGE, SYSTEM_CALL
 */
export function pinMap(calls: SystemCalls, map: MapContents, path: string): void {
  const errno = pin(calls, expectLinuxMap(map, 'pin'), path);
  if (errno !== 0) throw bpfError('BPF_OBJ_PIN', errno, `pin the map ${map.definition.name} at ${path}`, PIN_MEANINGS);
}

/**
 * The map that is pinned under a definition's name; pinned now where there was none.
 *
 * @param folder in a BPF file system
 * @throws PacketError INVALID_OPTION (another kind of map is there), and as `openPinnedMap` and `pinMap`
 */
export function shareByName(calls: SystemCalls, folder: string, definition: MapDefinition): LinuxMap {
  const path = `${folder}/${definition.name}`;
  const present = findPinnedMap(calls, path);
  if (present !== undefined) return expectAlike(present, definition, path);
  const map = LinuxMap.create(calls, definition);
  const errno = pin(calls, map, path);
  if (errno === 0) return map;
  map.close();
  // Somebody else was quicker.
  if (errno === EEXIST) return expectAlike(openPinnedMap(calls, path), definition, path);
  throw bpfError('BPF_OBJ_PIN', errno, `pin the map ${definition.name} at ${path}`, PIN_MEANINGS);
}

/** @throws PacketError INVALID_OPTION unless a map can stand in for another; it is closed then. */
function expectAlike(map: LinuxMap, wanted: MapDefinition, path: string): LinuxMap {
  const difference = mapDifference(map.definition, wanted);
  if (difference === undefined) return map;
  map.close();
  throw new PacketError('INVALID_OPTION', `the map pinned at ${path} is not the one of the object: ${difference}`, {
    remedy: 'remove it (`rm`) when nobody needs it, or call the map of the object by another name',
  });
}

function findPinnedMap(calls: SystemCalls, path: string): LinuxMap | undefined {
  const text = pathText(path);
  const descriptor = calls.bpf(BPF_OBJ_GET, new Struct(16).pointer(0, text, calls.address(text)));
  if (descriptor === -ENOENT) return undefined;
  if (descriptor < 0) throw bpfError('BPF_OBJ_GET', -descriptor, `open the map pinned at ${path}`, OPEN_MEANINGS);
  try {
    return new LinuxMap(calls, readDefinition(calls, descriptor, path), descriptor);
  } catch (error) {
    calls.close(descriptor);
    throw error;
  }
}

/** @returns 0 or errno, positive */
function pin(calls: SystemCalls, map: LinuxMap, path: string): number {
  const text = pathText(path);
  return -calls.bpf(BPF_OBJ_PIN, new Struct(16).pointer(0, text, calls.address(text)).u32(8, map.handle));
}

function pathText(path: string): Struct {
  return Struct.of(new TextEncoder().encode(`${path}\0`));
}

/** @throws PacketError INVALID_OPTION where the descriptor is of something else */
function readDefinition(calls: SystemCalls, descriptor: number, path: string): MapDefinition {
  // Of programs and links the kernel would tell other things, in the same places.
  const isMap = readlinkSync(`/proc/self/fd/${descriptor}`) === 'anon_inode:bpf-map';
  if (!isMap) {
    throw new PacketError('INVALID_OPTION', `what is pinned at ${path} is no map`, {
      remedy: '`bpftool map list` lists the maps',
    });
  }
  const info = new Struct(88); // struct bpf_map_info
  const request = new Struct(16).u32(0, descriptor).u32(4, info.length).pointer(8, info, calls.address(info));
  const result = calls.bpf(BPF_OBJ_GET_INFO_BY_FD, request);
  if (result < 0) throw bpfError('BPF_OBJ_GET_INFO_BY_FD', -result, `ask what is pinned at ${path}`);
  const [number, , keySize, valueSize, maxEntries, flags] = [0, 4, 8, 12, 16, 20].map((at) => info.readU32(at));
  const type = (Object.keys(MAP_TYPES) as MapType[]).find((name) => MAP_TYPES[name] === number);
  if (type === undefined) {
    throw new PacketError('MAP_UNSUPPORTED', `the map pinned at ${path} is of type ${number}, which has no name here`, {
      remedy: `a map of type ${Object.keys(MAP_TYPES).join(', ')}`,
    });
  }
  const name = info.readText(24, 16);
  return { name, type, keySize: keySize!, valueSize: valueSize!, maxEntries: maxEntries!, flags: flags! };
}

const OPEN_MEANINGS: Meanings = {
  [EINVAL]: { code: 'INVALID_OPTION', why: 'it is nothing that was pinned', remedy: MOUNT_REMEDY },
};
const PIN_MEANINGS: Meanings = {
  [EEXIST]: { code: 'INVALID_OPTION', why: 'something is there already', remedy: 'remove it, or give another path' },
  [ENOENT]: { code: 'INVALID_OPTION', why: 'there is no such folder', remedy: MOUNT_REMEDY },
  [EPERM]: { code: 'INVALID_OPTION', why: 'it is in no BPF file system, or not permitted', remedy: MOUNT_REMEDY },
};
