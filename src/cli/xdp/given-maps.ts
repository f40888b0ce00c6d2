import type { MapContents } from '../../ebpf/maps/contract.js';
import type { LinuxKernel } from '../../linux-kernel/linux-kernel.js';
import type { CommandLine } from '../options.js';
import { readAssignments } from './assignments.js';

/** Its line of help. */
export const MAP_HELP =
  '  --map NAME=PATH   in the place of this map one that is pinned, such as /sys/fs/bpf/flows; as often as needed';

/** Paths of pinned maps, by the name of the map in whose place they are. @throws PacketError INVALID_OPTION */
export function readMapPaths(line: CommandLine): ReadonlyMap<string, string> {
  return readAssignments(line, 'map', 'PATH');
}

/** Opens them. They stay open until the process ends. @throws PacketError as `LinuxKernel.openPinnedMap` */
export async function openGivenMaps(
  kernel: LinuxKernel,
  paths: ReadonlyMap<string, string>,
): Promise<Record<string, MapContents>> {
  const maps: Record<string, MapContents> = {};
  for (const [name, path] of paths) maps[name] = await kernel.openPinnedMap(path);
  return maps;
}
