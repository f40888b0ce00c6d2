import { checkInteger, PacketError } from '../../errors.js';
import { checkOptionNames } from '../../options.js';
import { PrefixTree } from '../maps/prefix-tree.js';
import type { Neighbour, Route, RoutedInterface, RoutingFacts } from './contract.js';

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const MAC_BYTES = 6;
/** Bytes of an interface's index, in front of the address of a neighbour. */
const INDEX_BYTES = 4;

/** Routes and neighbours of one family. */
interface Family {
  readonly bytes: number;
  readonly routes: PrefixTree;
  readonly neighbours: PrefixTree;
  readonly neighbourKey: Uint8Array;
}

/**
 * Interfaces, routes and neighbours, for programs that forward packets (bpf_fib_lookup). The kernel's are not asked: whoever makes it says
 * what it knows, and replaces it as a whole, also while programs run. Asking allocates nothing.
 */
export class RoutingTable {
  #interfaces = new Map<number, RoutedInterface>();
  #routes: readonly Route[] = [];
  #neighbours: readonly Neighbour[] = [];
  #ipv4: Family;
  #ipv6: Family;

  /** @throws PacketError INVALID_OPTION */
  constructor(facts: RoutingFacts = {}) {
    this.#ipv4 = makeFamily(IPV4_BYTES, 0, 0);
    this.#ipv6 = makeFamily(IPV6_BYTES, 0, 0);
    this.replace(facts);
  }

  /** Forgets what it knows for something else. What is given must not be changed afterwards. @throws PacketError INVALID_OPTION, and then nothing is forgotten */
  replace(facts: RoutingFacts): void {
    checkOptionNames('routing table', facts, ['interfaces', 'routes', 'neighbours']);
    const { interfaces = [], routes = [], neighbours = [] } = facts;
    const byIndex = new Map(interfaces.map((one) => [one.index, one]));
    for (const one of interfaces) checkInterface(one);
    for (const route of routes) checkRoute(route, byIndex);
    for (const { address, mac, interface: index } of neighbours) {
      checkAddress('neighbour', address);
      checkMac(mac);
      checkIndex('neighbour', index, byIndex);
    }
    this.#interfaces = byIndex;
    this.#routes = routes;
    this.#neighbours = neighbours;
    this.#ipv4 = makeFamily(IPV4_BYTES, routes.length, neighbours.length);
    this.#ipv6 = makeFamily(IPV6_BYTES, routes.length, neighbours.length);
    for (const index of routes.keys()) this.#enterRoute(index);
    for (const [index, { address, interface: device }] of neighbours.entries()) {
      const family = this.#family(address.length);
      wantNeighbour(family, device, address, 0);
      if (family.neighbours.exact() < 0) family.neighbours.insert(index);
    }
  }

  /** The interface of an index, or undefined. */
  interface(index: number): RoutedInterface | undefined {
    return this.#interfaces.get(index);
  }

  /** The route of the address, of 4 or 16 bytes, at a place; undefined where there is none. */
  route(bytes: 4 | 16, u8: Uint8Array, at: number): Route | undefined {
    const { routes } = this.#family(bytes);
    routes.want(u8, at, bytes * 8);
    return this.#routes[routes.longest()];
  }

  /** Hardware address of the host behind an interface whose address, of 4 or 16 bytes, is at a place; undefined where it is not known. */
  neighbour(index: number, bytes: 4 | 16, u8: Uint8Array, at: number): Uint8Array | undefined {
    const family = this.#family(bytes);
    wantNeighbour(family, index, u8, at);
    return this.#neighbours[family.neighbours.exact()]?.mac;
  }

  #family(bytes: number): Family {
    return bytes === IPV4_BYTES ? this.#ipv4 : this.#ipv6;
  }

  #enterRoute(index: number): void {
    const { address, length, metric = 0 } = this.#routes[index]!;
    const { routes } = this.#family(address.length);
    routes.want(address, 0, length);
    const known = routes.exact();
    if (known >= 0 && (this.#routes[known]!.metric ?? 0) <= metric) return;
    if (known >= 0) routes.remove();
    routes.insert(index);
  }
}

function makeFamily(bytes: number, routes: number, neighbours: number): Family {
  return {
    bytes,
    routes: new PrefixTree(routes, bytes),
    neighbours: new PrefixTree(neighbours, INDEX_BYTES + bytes),
    neighbourKey: new Uint8Array(INDEX_BYTES + bytes),
  };
}

function wantNeighbour({ bytes, neighbours, neighbourKey }: Family, index: number, u8: Uint8Array, at: number): void {
  for (let i = 0; i < INDEX_BYTES; i++) neighbourKey[i] = index >> (8 * i);
  for (let i = 0; i < bytes; i++) neighbourKey[INDEX_BYTES + i] = u8[at + i]!;
  neighbours.want(neighbourKey, 0, neighbourKey.length * 8);
}

function checkInterface({ index, mac, mtu }: RoutedInterface): void {
  checkInteger('index of an interface', index, 1, 2 ** 31 - 1);
  checkInteger('mtu', mtu, 1, 65535);
  checkMac(mac);
}

function checkRoute(route: Route, interfaces: ReadonlyMap<number, RoutedInterface>): void {
  const { address, length, kind = 'unicast', interface: index, gateway, source, metric = 0, mtu = 1 } = route;
  checkAddress('route', address);
  checkInteger('length of a prefix', length, 0, address.length * 8);
  checkInteger('metric', metric, 0, 2 ** 32 - 1);
  checkInteger('mtu', mtu, 1, 65535);
  if (kind === 'unicast') checkIndex('route', index, interfaces);
  for (const other of [gateway, source]) {
    if (other !== undefined && other.length !== address.length) {
      throw invalid(`a route to an address of ${address.length} bytes names one of ${other.length}`);
    }
  }
}

function checkAddress(what: string, { length }: Uint8Array): void {
  if (length !== IPV4_BYTES && length !== IPV6_BYTES) throw invalid(`a ${what} has an address of ${length} bytes`);
}

function checkMac({ length }: Uint8Array): void {
  if (length !== MAC_BYTES) throw invalid(`a hardware address has ${length} bytes`);
}

function checkIndex(what: string, index: number | undefined, interfaces: ReadonlyMap<number, RoutedInterface>): void {
  if (index === undefined || !interfaces.has(index))
    throw invalid(`a ${what} names interface ${index}, which is not there`);
}

function invalid(why: string): PacketError {
  return new PacketError('INVALID_OPTION', `routing table: ${why}`, {
    remedy: 'IP addresses have 4 or 16 bytes, hardware addresses 6; name each interface that routes and neighbours use',
  });
}
