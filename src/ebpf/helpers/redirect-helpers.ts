import {
  CONTROL_REGISTERS,
  PACKET_REDIRECT_FLAGS,
  PACKET_REDIRECT_MAP,
  PACKET_REDIRECT_TARGET,
  XDP_ABORTED,
  XDP_REDIRECT,
} from '../execution.js';
import type { Machine } from '../machine.js';
import type { MapType } from '../maps/contract.js';
import type { Helper } from './contract.js';
import { mapArgument } from './map-helpers.js';
import { argument, currentRecord, giveBack, smallArgument } from './registers.js';

/** Flags of bpf_redirect_map: the verdict for a key without an entry, in the two lowest bits. */
const VERDICT_FLAGS = 3;
/** To all devices of the map; but to the one that the packet came from (BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS). */
const BROADCAST = 1 << 3;
const EXCLUDE_INGRESS = 1 << 4;
const TARGETS: readonly MapType[] = ['devmap', 'devmap_hash', 'cpumap', 'xskmap'];

const redirect: Helper = {
  name: 'redirect',
  number: 23,
  arguments: ['anything', 'anything'],
  returns: 'number',
  call(machine) {
    const isKnown = smallArgument(machine, 2) === 0; // no flags are
    if (isKnown) setTarget(machine, 0, argument(machine, 1), 0);
    giveBack(machine, isKnown ? XDP_REDIRECT : XDP_ABORTED);
  },
};

const redirectMap: Helper = {
  name: 'redirect_map',
  number: 51,
  arguments: ['map', 'anything', 'anything'],
  returns: 'number',
  mapTypes: TARGETS,
  call(machine) {
    giveBack(machine, redirectToMap(machine));
  },
};

/** Helpers that choose where XDP_REDIRECT leads. */
export const REDIRECT_HELPERS: readonly Helper[] = [redirect, redirectMap];

function redirectToMap(machine: Machine): number {
  const map = mapArgument(machine);
  const flags = smallArgument(machine, 3);
  if (map === undefined || flags < 0 || !TARGETS.includes(map.definition.type)) return XDP_ABORTED;
  const isDeviceMap = map.definition.type === 'devmap' || map.definition.type === 'devmap_hash';
  const known = isDeviceMap ? VERDICT_FLAGS | BROADCAST | EXCLUDE_INGRESS : VERDICT_FLAGS;
  if ((flags & ~known) !== 0) return XDP_ABORTED;
  // The lower half of register 2 is a key of 4 bytes where it stands.
  const key = machine.control + (CONTROL_REGISTERS + 4) * 4;
  if ((flags & BROADCAST) === 0 && map.lookupAt(key) === 0) {
    setTarget(machine, 0, 0, 0); // an earlier redirection counts no more
    return flags & VERDICT_FLAGS;
  }
  setTarget(machine, map.handle, argument(machine, 2), flags);
  return XDP_REDIRECT;
}

function setTarget(machine: Machine, map: number, target: number, flags: number): void {
  const { i32 } = machine.arena;
  const record = currentRecord(machine);
  i32[record + PACKET_REDIRECT_MAP] = map;
  i32[record + PACKET_REDIRECT_TARGET] = target;
  i32[record + PACKET_REDIRECT_FLAGS] = flags;
}
