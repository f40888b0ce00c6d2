import { EAFNOSUPPORT, EINVAL, ENODEV } from '../errno.js';
import { CONTEXT_INGRESS_IFINDEX } from '../execution.js';
import type { Machine } from '../machine.js';
import type { Route, RoutedInterface } from '../routing/contract.js';
import type { RoutingTable } from '../routing/routing-table.js';
import type { Helper } from './contract.js';
import { packetBytes } from './packet-helpers.js';
import { argument, giveBack, pointerArgument, smallArgument } from './registers.js';

// struct bpf_fib_lookup of linux/bpf.h: byte offsets. Addresses and VLAN are in network byte order, other numbers little-endian.
const PARAMETER_BYTES = 64;
const FAMILY = 0;
const LENGTH_OR_MTU = 6;
const INTERFACE = 8;
const METRIC = 12;
const SOURCE = 16;
const DESTINATION = 32;
const VLAN = 48;
const SOURCE_MAC = 52;
const DESTINATION_MAC = 58;
const AF_INET = 2;
const AF_INET6 = 10;

// Flags: ask no rules (there are none); a next hop without its hardware address will do; the source address is wanted, too.
const DIRECT = 1 << 0;
const SKIP_NEIGHBOUR = 1 << 2;
const WANT_SOURCE = 1 << 4;

// Results (BPF_FIB_LKUP_RET_...).
const SUCCESS = 0;
const BLACKHOLE = 1;
const UNREACHABLE = 2;
const PROHIBIT = 3;
const NOT_FORWARDED = 4;
const FORWARDING_DISABLED = 5;
const NO_NEIGHBOUR = 7;
const FRAGMENTATION_NEEDED = 8;
const NO_SOURCE_ADDRESS = 9;

const ETHERNET_HEADER_BYTES = 14;
/** Result of check_mtu for a packet that is too long (BPF_MTU_CHK_RET_FRAG_NEEDED). */
const TOO_LONG = 1;

/** Helpers that ask where packets go. @param routes what they know */
export function routingHelpers(routes: RoutingTable): Helper[] {
  return [
    {
      name: 'fib_lookup',
      number: 69,
      arguments: ['context', 'memory-in-out', 'size', 'anything'],
      returns: 'number',
      gplOnly: true,
      call: (machine) => giveBack(machine, lookUpRoute(machine, routes)),
    },
    {
      name: 'check_mtu',
      number: 163,
      arguments: ['context', 'anything', 'memory-out-4', 'anything', 'anything'],
      returns: 'number',
      gplOnly: true,
      call: (machine) => giveBack(machine, checkMtu(machine, routes)),
    },
  ];
}

/** Linux knows more flags, for several tables and other directions; those are refused. */
function lookUpRoute(machine: Machine, routes: RoutingTable): number {
  const { u8 } = machine.arena;
  const size = smallArgument(machine, 3);
  const flags = smallArgument(machine, 4);
  const at = pointerArgument(machine, 2, PARAMETER_BYTES);
  if (size < PARAMETER_BYTES || at < 0 || flags < 0) return -EINVAL;
  if ((flags & ~(DIRECT | SKIP_NEIGHBOUR | WANT_SOURCE)) !== 0) return -EINVAL;
  const family = u8[at + FAMILY];
  if (family !== AF_INET && family !== AF_INET6) return -EAFNOSUPPORT;
  const from = routes.interface(readWord(u8, at + INTERFACE));
  if (from === undefined) return -ENODEV;
  if (from.forwards === false) return FORWARDING_DISABLED;
  const bytes = family === AF_INET ? 4 : 16;
  const route = routes.route(bytes, u8, at + DESTINATION);
  if (route === undefined) return NOT_FORWARDED;
  const device = routes.interface(route.interface ?? 0);
  if (device === undefined || (route.kind ?? 'unicast') !== 'unicast') return refusal(route);
  return forward(machine, routes, at, route, device, flags);
}

function refusal({ kind }: Route): number {
  switch (kind) {
    case 'blackhole':
      return BLACKHOLE;
    case 'unreachable':
      return UNREACHABLE;
    case 'prohibit':
      return PROHIBIT;
    default:
      return NOT_FORWARDED;
  }
}

/** Fills in the parameters for a packet that goes on to an interface. */
function forward(
  machine: Machine,
  routes: RoutingTable,
  at: number,
  route: Route,
  device: RoutedInterface,
  flags: number,
): number {
  const { u8 } = machine.arena;
  const bytes = u8[at + FAMILY] === AF_INET ? 4 : 16;
  const mtu = Math.min(route.mtu ?? device.mtu, device.mtu);
  const length = u8[at + LENGTH_OR_MTU]! | (u8[at + LENGTH_OR_MTU + 1]! << 8);
  if (length > mtu) {
    writeHalf(u8, at + LENGTH_OR_MTU, mtu);
    return FRAGMENTATION_NEEDED;
  }
  writeWord(u8, at + METRIC, route.metric ?? 0);
  writeWord(u8, at + INTERFACE, device.index);
  if (route.gateway !== undefined) u8.set(route.gateway, at + DESTINATION);
  if ((flags & WANT_SOURCE) !== 0) {
    if (route.source === undefined) return NO_SOURCE_ADDRESS;
    u8.set(route.source, at + SOURCE);
  }
  if ((flags & SKIP_NEIGHBOUR) === 0) {
    const mac = routes.neighbour(device.index, bytes, u8, at + DESTINATION);
    if (mac === undefined) return NO_NEIGHBOUR;
    u8.set(mac, at + DESTINATION_MAC);
    u8.set(device.mac, at + SOURCE_MAC);
  }
  writeWord(u8, at + VLAN, 0);
  writeHalf(u8, at + LENGTH_OR_MTU, mtu);
  return SUCCESS;
}

/** Whether the packet, made longer by register 4, may leave by an interface (0: the one that it came by). Tells the interface's MTU. */
function checkMtu(machine: Machine, routes: RoutingTable): number {
  const { i32, u8 } = machine.arena;
  const index = argument(machine, 2);
  const at = pointerArgument(machine, 3, 4);
  if (at < 0 || smallArgument(machine, 5) !== 0) return -EINVAL; // no flags are
  const device = routes.interface(index === 0 ? i32[(machine.context + CONTEXT_INGRESS_IFINDEX) >> 2]! : index);
  if (device === undefined) return -ENODEV;
  const named = readWord(u8, at);
  const bytes = (named === 0 ? packetBytes(machine) : named + ETHERNET_HEADER_BYTES) + argument(machine, 4);
  writeWord(u8, at, device.mtu);
  return bytes > device.mtu + ETHERNET_HEADER_BYTES ? TOO_LONG : SUCCESS;
}

function readWord(u8: Uint8Array, at: number): number {
  return u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24);
}

function writeWord(u8: Uint8Array, at: number, word: number): void {
  for (let i = 0; i < 4; i++) u8[at + i] = word >>> (8 * i);
}

function writeHalf(u8: Uint8Array, at: number, half: number): void {
  u8[at] = half;
  u8[at + 1] = half >> 8;
}
