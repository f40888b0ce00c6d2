import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import {
  FLOW_DESTINATION,
  FLOW_FRAGMENT,
  FLOW_HAS_PORTS,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_SOURCE,
  FLOW_VERSION_SHIFT,
  type FlowKey,
} from '../packet/flow-key.js';

/** Bytes of an RSS key: 36 of input (IPv6 with ports) and 4 of output. */
export const RSS_KEY_BYTES = 40;

/** The key of Microsoft's "Verifying the RSS Hash Calculation", which most drivers took over. */
export const MICROSOFT_RSS_KEY: Uint8Array = fromHex(
  '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
);

/**
 * A key that repeats every 16 bits, so that both directions of a connection have one hash (Woo and Park, "Scalable TCP session
 * monitoring with symmetric receive-side scaling", 2012). It spreads worse: the hash has 16 bits of variety, not 32.
 */
export const SYMMETRIC_RSS_KEY: Uint8Array = fromHex('6d5a'.repeat(RSS_KEY_BYTES / 2));

// Private names for what the hash uses: V8 folds them into the code, exported ones it loads each time (see flow-key.ts).
const NETWORK = FLOW_NETWORK;
const PORTS = FLOW_PORTS;
const SOURCE = FLOW_SOURCE;
const DESTINATION = FLOW_DESTINATION;
const HAS_PORTS = FLOW_HAS_PORTS;
const FRAGMENT = FLOW_FRAGMENT;
const VERSION_SHIFT = FLOW_VERSION_SHIFT;

/** Bytes of input at most: two IPv6 addresses and two ports. */
const INPUT_BYTES = 36;
const PORTS_AT_IPV4 = 8;
const PORTS_AT_IPV6 = 32;

/** Plain data, so that device options can be posted to a worker. */
export interface RssOptions {
  /** Queues to spread over at first: 0 to `queues - 1`, 1 to 65535. */
  readonly queues: number;
  /** Entries of the indirection table, a power of two from 1 to 65536; default 128. Fewer entries than queues leave queues unused. */
  readonly entries?: number;
  /** 40 bytes; default {@link MICROSOFT_RSS_KEY}. */
  readonly key?: Uint8Array;
  /** Whether ports take part (TCP, UDP, SCTP; never in fragments, which would leave their flow); default true. */
  readonly ports?: boolean;
}

/**
 * Receive-side scaling: a Toeplitz hash over addresses and ports, whose lowest bits choose an entry of the indirection table,
 * which names a queue. Packets of one flow stay on one queue. What is not IP has hash 0.
 *
 * The hash is linear over exclusive-or, so the share of each input byte is looked up in a table of its own: 8 or 12 loads for
 * IPv4. The tables of IPv4 take 12 KiB, those of IPv6 36.
 */
export class Rss {
  readonly entries: number;
  readonly #key: Uint8Array;
  readonly #ports: number;
  readonly #shares: Int32Array;
  readonly #table: Uint16Array;
  readonly #mask: number;

  /** @throws PacketError INVALID_OPTION */
  constructor(options: RssOptions) {
    const { queues, entries = 128, key = MICROSOFT_RSS_KEY, ports = true } = options;
    checkInteger('RSS queues', queues, 1, 0xffff);
    this.entries = checkPowerOfTwo('RSS entries', entries, 1, 65536);
    if (!(key instanceof Uint8Array) || key.length !== RSS_KEY_BYTES) {
      const found = key instanceof Uint8Array ? `${key.length} bytes` : String(key);
      throw new PacketError('INVALID_OPTION', `RSS key: ${found} instead of ${RSS_KEY_BYTES} bytes`, {
        remedy: 'leave it out for the usual key, or give a Uint8Array',
      });
    }
    this.#key = key.slice();
    this.#ports = ports ? HAS_PORTS : 0;
    this.#shares = sharesOf(this.#key);
    this.#mask = this.entries - 1;
    this.#table = new Uint16Array(this.entries);
    for (let i = 0; i < this.entries; i++) this.#table[i] = i % queues;
  }

  /** Whether ports take part. */
  get hashesPorts(): boolean {
    return this.#ports !== 0;
  }

  /** A copy of the key. */
  get key(): Uint8Array {
    return this.#key.slice();
  }

  /** A copy of the indirection table: queue numbers. */
  get indirection(): Uint16Array {
    return this.#table.slice();
  }

  /** The queue for a packet. Data path: no allocation. */
  queue(key: FlowKey): number {
    return this.queueOf(this.hash(key));
  }

  /** The queue for packets with this hash. */
  queueOf(hash: number): number {
    return this.#table[hash & this.#mask]!;
  }

  /** The hash of a packet as a signed word; 0 for what is not IP. Data path: no allocation. */
  hash(key: FlowKey): number {
    const network = key[NETWORK]!;
    const ports = (network & (HAS_PORTS | FRAGMENT)) === HAS_PORTS ? network & this.#ports : 0;
    const version = (network >> VERSION_SHIFT) & 0xf;
    const shares = this.#shares;
    if (version === 4) {
      const hash = share(shares, 0, key[SOURCE]!) ^ share(shares, 4, key[DESTINATION]!);
      return ports === 0 ? hash : hash ^ share(shares, PORTS_AT_IPV4, key[PORTS]!);
    }
    if (version !== 6) return 0;
    let hash = ports === 0 ? 0 : share(shares, PORTS_AT_IPV6, key[PORTS]!);
    for (let i = 0; i < 4; i++) {
      hash ^= share(shares, 4 * i, key[SOURCE + i]!) ^ share(shares, 16 + 4 * i, key[DESTINATION + i]!);
    }
    return hash;
  }

  /**
   * Spreads evenly over these queues and no others (`ethtool -X equal`). Packets already in a queue stay there.
   *
   * @throws PacketError INVALID_OPTION for an empty list or a queue outside 0 to 65535
   */
  spreadOver(queues: readonly number[]): void {
    if (queues.length === 0)
      throw new PacketError('INVALID_OPTION', 'RSS queues: none to spread over', { remedy: 'name one queue at least' });
    for (const queue of queues) checkInteger('RSS queue', queue, 0, 0xffff);
    for (let i = 0; i < this.entries; i++) this.#table[i] = queues[i % queues.length]!;
  }

  /**
   * Sets the indirection table: one queue for each of the {@link entries}.
   *
   * @throws PacketError INVALID_OPTION
   */
  setIndirection(table: ArrayLike<number>): void {
    if (table.length !== this.entries) {
      throw new PacketError('INVALID_OPTION', `RSS indirection: ${table.length} entries instead of ${this.entries}`, {
        remedy: 'give a queue for each entry',
      });
    }
    for (let i = 0; i < table.length; i++) checkInteger(`RSS indirection[${i}]`, table[i], 0, 0xffff);
    this.#table.set(table);
  }

  /** Whether a hash can lead to this queue. */
  reaches(queue: number): boolean {
    return this.#table.includes(queue);
  }
}

/** The exclusive-or of what the four bytes of `value` give at input position `at`, highest byte first. */
function share(shares: Int32Array, at: number, value: number): number {
  return (
    shares[(at << 8) | (value >>> 24)]! ^
    shares[((at + 1) << 8) | ((value >>> 16) & 0xff)]! ^
    shares[((at + 2) << 8) | ((value >>> 8) & 0xff)]! ^
    shares[((at + 3) << 8) | (value & 0xff)]!
  );
}

/** For every input byte position and value: the exclusive-or of the key's 32-bit windows at the value's bits that are set. */
function sharesOf(key: Uint8Array): Int32Array {
  const shares = new Int32Array(INPUT_BYTES * 256);
  for (let at = 0; at < INPUT_BYTES; at++) {
    const first = (key[at]! << 24) | (key[at + 1]! << 16) | (key[at + 2]! << 8) | key[at + 3]!;
    const next = key[at + 4]!;
    for (let bit = 0; bit < 8; bit++) {
      // The highest bit of a byte comes first and sees the window that starts at the byte.
      const window = bit === 0 ? first : (first << bit) | (next >> (8 - bit));
      const weight = 0x80 >> bit;
      for (let value = 0; value < 256; value++) {
        if ((value & weight) !== 0) shares[(at << 8) | value]! ^= window;
      }
    }
  }
  return shares;
}

function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
