/** An interface that packets are forwarded from and to. */
export interface RoutedInterface {
  /** Its index, from 1. */
  readonly index: number;
  /** Its hardware address, 6 bytes. */
  readonly mac: Uint8Array;
  /** Most bytes of a packet from the IP header on. */
  readonly mtu: number;
  /** Whether packets that come in by it are forwarded. Default true. */
  readonly forwards?: boolean;
}

/** What becomes of packets: on to an interface; to this host; dropped, silently or with one answer or another. */
export type RouteKind = 'unicast' | 'local' | 'blackhole' | 'unreachable' | 'prohibit';

/** Where packets to the addresses of a prefix go. */
export interface Route {
  /** The prefix: 4 bytes, or 16. */
  readonly address: Uint8Array;
  /** Bits of the address that count. */
  readonly length: number;
  /** What becomes of the packets. Default unicast. */
  readonly kind?: RouteKind;
  /** Index of the interface that they leave by; unicast only. */
  readonly interface?: number;
  /** Address of the next router, of the prefix's family; the destination itself unless given. */
  readonly gateway?: Uint8Array;
  /** Source address to prefer, of the prefix's family. */
  readonly source?: Uint8Array;
  /** Of routes with the same prefix the lowest metric counts. Default 0. */
  readonly metric?: number;
  /** Most bytes of a packet, where it is less than the interface's. */
  readonly mtu?: number;
}

/** Hardware address of a host or router. */
export interface Neighbour {
  /** Index of the interface that it is reached by. */
  readonly interface: number;
  /** Its IP address, 4 bytes or 16. */
  readonly address: Uint8Array;
  /** Its hardware address, 6 bytes. */
  readonly mac: Uint8Array;
}

/** What a routing table knows. */
export interface RoutingFacts {
  /** Interfaces; others do not exist for it. */
  readonly interfaces?: readonly RoutedInterface[];
  /** Routes, in any order. */
  readonly routes?: readonly Route[];
  /** Neighbours, in any order. */
  readonly neighbours?: readonly Neighbour[];
}
