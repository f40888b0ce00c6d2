import { all, any, type Condition, compare, NEVER, not } from './condition.js';
import type { PacketSize, Value, ValueTable } from './value.js';

/** What packets begin with. */
export type LinkType = keyof typeof LINK_TYPES;

interface LinkTypeFacts {
  /** As messages say it. */
  readonly name: string;
  /** Where the field lies that says what the packet carries. */
  readonly typeAt: number;
  readonly payloadAt: number;
}

/** The link types that filters are compiled for (tcpdump.org's registry). */
export const LINK_TYPES = {
  ethernet: { name: 'Ethernet', typeAt: 12, payloadAt: 14 },
  /** IPv4 or IPv6 without anything before it. */
  raw: { name: 'raw IP', typeAt: 0, payloadAt: 0 },
  'linux-cooked': { name: 'Linux cooked capture', typeAt: 14, payloadAt: 16 },
  'linux-cooked-2': { name: 'Linux cooked capture, version 2', typeAt: 0, payloadAt: 20 },
  /** Four bytes of address family, as a little-endian machine writes them. */
  null: { name: 'BSD loopback', typeAt: 0, payloadAt: 4 },
  /** Four bytes of address family in network byte order. */
  loop: { name: 'OpenBSD loopback', typeAt: 0, payloadAt: 4 },
} as const satisfies Record<string, LinkTypeFacts>;

export const ETHERTYPE_IP = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_RARP = 0x8035;
export const ETHERTYPE_IP6 = 0x86dd;
export const ETHERTYPE_MPLS = 0x8847;
export const ETHERTYPE_PPPOE_DISCOVERY = 0x8863;
export const ETHERTYPE_PPPOE_SESSION = 0x8864;
/** Tag protocol identifiers: IEEE 802.1Q, 802.1ad, and what was used before the latter. */
export const ETHERTYPES_VLAN = [0x8100, 0x88a8, 0x9100] as const;
const ETHERTYPE_ATALK = 0x809b;
const ETHERTYPE_AARP = 0x80f3;
const ETHERTYPE_IPX = 0x8137;

// Service access points of LLC, which take the place of ether types below 1536.
const SAP_STP = 0x42;
const SAP_IPX = 0xe0;
const SAP_NETBEUI = 0xf0;
export const SAP_ISO = 0xfe;

/** Largest value of Ethernet's type field that is a length (IEEE 802.3). */
const MOST_LENGTH = 1500;
/** Values of the type field of Linux cooked captures: IPX without a header of its own, and LLC (linux/if_ether.h). */
const COOKED_RAW_802_3 = 0x0001;
const COOKED_LLC = 0x0004;

/** PPP's protocol numbers of what has another ether type (IANA, "PPP DLL Protocol Numbers"). */
const PPP_PROTOCOLS: ReadonlyMap<number, number> = new Map([
  [ETHERTYPE_IP, 0x21],
  [ETHERTYPE_IP6, 0x57],
  [ETHERTYPE_MPLS, 0x0281],
  [ETHERTYPE_ATALK, 0x29],
  [0x6003, 0x27],
  [SAP_ISO, 0x23],
  [SAP_STP, 0x31],
  [SAP_IPX, 0x2b],
]);

/** Address family of IPv4 in loopback headers, the same everywhere. */
const FAMILY_IP = [2];
/** Of IPv6: Linux; NetBSD and OpenBSD; FreeBSD; macOS. */
const FAMILIES_IP6 = [10, 24, 28, 30];

/**
 * Where the headers of a packet lie, as an expression is read from left to right: `vlan`, `mpls` and `pppoes` move what lies behind them
 * in the expression into the packet.
 */
export class Layers {
  readonly values: ValueTable;
  /** `ppp` within a PPPoE session. */
  link: LinkType | 'ppp';
  /** Where the link-layer header begins. */
  linkAt = 0;
  typeAt: number;
  payloadAt: number;
  /** MPLS labels before the payload. */
  labels = 0;

  constructor(values: ValueTable, link: LinkType) {
    this.values = values;
    this.link = link;
    this.typeAt = LINK_TYPES[link].typeAt;
    this.payloadAt = LINK_TYPES[link].payloadAt;
  }

  get name(): string {
    return this.link === 'ppp' ? 'PPP' : LINK_TYPES[this.link].name;
  }

  /** Bytes of the packet. */
  load(size: PacketSize, at: number): Value {
    return this.values.packet(size, at);
  }

  equal(value: Value, constant: number): Condition {
    return compare(this.values, 'equal', value, this.values.constant(constant));
  }

  /**
   * Whether the payload has an ether type, or a service access point of LLC below 1536.
   *
   * @returns undefined where the layers cannot tell: in MPLS, other than IPv4 and IPv6
   */
  carries(etherType: number): Condition | undefined {
    if (this.labels > 0) return this.#carriesInMpls(etherType);
    const type = this.load(2, this.typeAt);
    switch (this.link) {
      case 'ethernet':
        return this.#carriesInEthernet(etherType, type);
      case 'linux-cooked':
        return this.#carriesInCooked(etherType, type);
      case 'linux-cooked-2':
        return this.equal(type, etherType);
      case 'ppp':
        return this.equal(type, PPP_PROTOCOLS.get(etherType) ?? etherType);
      case 'raw':
        return this.#hasIpVersion(etherType) ?? NEVER;
      default:
        return this.#carriesInLoopback(etherType, this.link === 'null');
    }
  }

  /** Whether the Ethernet frame has a length in place of its type. */
  hasLength(): Condition {
    const most = this.values.constant(MOST_LENGTH);
    return not(compare(this.values, 'greater', this.load(2, this.typeAt), most));
  }

  #carriesInMpls(etherType: number): Condition | undefined {
    const version = this.#hasIpVersion(etherType);
    if (version === undefined) return undefined;
    // The last label says so in the lowest bit of its third byte.
    return all(this.bottomOfStack(), version);
  }

  /** Whether the label before the payload is the last one. */
  bottomOfStack(): Condition {
    return compare(this.values, 'any-bits', this.load(1, this.payloadAt - 2), this.values.constant(1));
  }

  #hasIpVersion(etherType: number): Condition | undefined {
    if (etherType !== ETHERTYPE_IP && etherType !== ETHERTYPE_IP6) return undefined;
    const version = this.values.calculate(0x50, this.load(1, this.payloadAt), this.values.constant(0xf0));
    return this.equal(version, etherType === ETHERTYPE_IP ? 0x40 : 0x60);
  }

  #carriesInEthernet(etherType: number, type: Value): Condition {
    switch (etherType) {
      case SAP_ISO:
      case SAP_NETBEUI:
        return all(this.hasLength(), this.equal(this.load(2, this.payloadAt), (etherType << 8) | etherType));
      case SAP_IPX:
        return any(
          this.equal(type, ETHERTYPE_IPX),
          all(this.hasLength(), any(this.#snap(0, ETHERTYPE_IPX), this.#accessPoint(SAP_IPX), this.#bareIpx())),
        );
      case ETHERTYPE_ATALK:
        return any(this.equal(type, etherType), all(this.hasLength(), this.#snap(0x080007, etherType)));
      case ETHERTYPE_AARP:
        return any(this.equal(type, etherType), all(this.hasLength(), this.#snap(0, etherType)));
      default:
        if (etherType > MOST_LENGTH) return this.equal(type, etherType);
        return all(this.hasLength(), this.#accessPoint(etherType));
    }
  }

  #carriesInCooked(etherType: number, type: Value): Condition {
    const llc = this.equal(type, COOKED_LLC);
    switch (etherType) {
      case SAP_ISO:
      case SAP_NETBEUI:
        return all(llc, this.equal(this.load(2, this.payloadAt), (etherType << 8) | etherType));
      case SAP_IPX:
        return any(
          this.equal(type, ETHERTYPE_IPX),
          this.equal(type, COOKED_RAW_802_3),
          all(llc, any(this.#accessPoint(SAP_IPX), this.#snap(0, ETHERTYPE_IPX))),
        );
      case ETHERTYPE_ATALK:
        return any(this.equal(type, etherType), all(llc, this.#snap(0x080007, etherType)));
      case ETHERTYPE_AARP:
        return any(this.equal(type, etherType), all(llc, this.#snap(0, etherType)));
      default:
        if (etherType > MOST_LENGTH) return this.equal(type, etherType);
        return all(llc, this.#accessPoint(etherType));
    }
  }

  #carriesInLoopback(etherType: number, isLittleEndian: boolean): Condition {
    const families = etherType === ETHERTYPE_IP ? FAMILY_IP : etherType === ETHERTYPE_IP6 ? FAMILIES_IP6 : [];
    const family = this.load(4, this.typeAt);
    return any(...families.map((number) => this.equal(family, isLittleEndian ? number << 24 : number)));
  }

  /** LLC's destination access point. */
  #accessPoint(number: number): Condition {
    return this.equal(this.load(1, this.payloadAt), number);
  }

  /** IPX directly behind the length: its checksum, which is always 0xffff, stands where LLC has its access points. */
  #bareIpx(): Condition {
    return this.equal(this.load(2, this.payloadAt), 0xffff);
  }

  /** LLC's header for ether types: AA AA 03, an organization and the type. */
  #snap(organization: number, etherType: number): Condition {
    const last = this.load(4, this.payloadAt + 4);
    const first = this.load(4, this.payloadAt);
    return all(
      this.equal(last, (((organization & 0xffff) << 16) | etherType) >>> 0),
      this.equal(first, (0xaaaa0300 | (organization >>> 16)) >>> 0),
    );
  }
}
