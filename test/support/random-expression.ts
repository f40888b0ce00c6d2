import { IPV4, IPV6, LABELS, MACS, PORTS, PROTOCOLS, SESSIONS, TAGS } from './filter-packets.js';
import type { Random } from './random.js';

/** A random filter expression: mostly right, and about what filter-packets.ts makes. */
export function randomExpression(random: Random): string {
  return expression(random, random.pick([1, 1, 2, 2, 3, 4]));
}

function expression(random: Random, terms: number): string {
  let text = operand(random, terms);
  for (let i = 1; i < terms; i++) {
    const join = random.pick(['and', 'and', 'or', '&&', '||']);
    text += ` ${join} ${operand(random, terms)}`;
  }
  return text;
}

function operand(random: Random, terms: number): string {
  const not = random.oneIn(5) ? random.pick(['not ', '!', 'not not ']) : '';
  if (terms > 1 && random.oneIn(5)) return `${not}(${expression(random, terms - 1)})`;
  return not + primitive(random);
}

const direction = (random: Random): string =>
  random.pick(['', '', 'src ', 'dst ', 'src or dst ', 'src and dst ', 'dst or src ', 'dst and src ']);

function primitive(random: Random): string {
  switch (random.below(17)) {
    case 0:
      return `${random.pick(['', 'ip ', 'arp ', 'rarp '])}${hostDirection(random)}${random.pick(IPV4)}${more(random, IPV4)}`;
    case 1:
      return `${random.pick(['', 'ip6 '])}${hostDirection(random)}${random.pick(IPV6)}${more(random, IPV6)}`;
    case 2:
      return `${direction(random)}net ${random.pick(['10', '10.0', '10.0.0', '10.0.0.0/16', '192.168.0.0 mask 255.255.0.0'])}`;
    case 3:
      return `ip6 ${direction(random)}net ${random.pick(['2001:db8::/32', '2001:db8::/33', 'fe80::/10', '::/0', 'ff00::/8'])}`;
    case 4:
    case 5:
      return `${transport(random)}${direction(random)}port ${random.pick(PORTS)}${more(random, PORTS)}`;
    case 6: {
      const first = random.pick(PORTS);
      const last = random.pick([first, random.pick(PORTS), random.below(65536)]);
      return `${transport(random)}${direction(random)}portrange ${first}-${last}`;
    }
    case 7:
      return random.pick(['ip proto ', 'ip6 proto ', 'proto ']) + random.pick(PROTOCOLS);
    case 8:
      return `ether ${random.pick(['host ', 'src ', 'dst ', 'src or dst '])}${random.pick(MACS)}`;
    case 9:
      return random.pick([
        'broadcast',
        'multicast',
        'ether broadcast',
        'ip multicast',
        'ip6 multicast',
        'ip broadcast',
      ]);
    case 10:
      return `${random.pick(['vlan', 'vlan'])}${optional(random, TAGS)}`;
    case 11:
      return random.oneIn(2) ? `mpls${optional(random, LABELS)}` : `pppoes${optional(random, SESSIONS)}`;
    case 12:
      return `ether proto ${random.pick([0x800, 0x86dd, 0x806, 0x42, 0xfe, 0xe0, 0xf0, 0x809b, 0x80f3, 0x8137, 1500, 1501, 0xaa])}`;
    case 13:
    case 14:
      return relation(random);
    default:
      return word(random);
  }
}

function word(random: Random): string {
  return random.pick([
    ...['ip', 'ip', 'ip6', 'ip6', 'arp', 'rarp', 'tcp', 'tcp', 'udp', 'udp', 'sctp', 'icmp', 'icmp6', 'igmp', 'igrp'],
    ...['pim', 'vrrp', 'carp', 'ah', 'esp', 'atalk', 'aarp', 'decnet', 'lat', 'sca', 'moprc', 'mopdl', 'iso', 'stp'],
    ...['ipx', 'netbeui', 'clnp', 'esis', 'isis', 'llc', 'llc i', 'llc s', 'llc u', 'llc rr', 'llc ui', 'llc test'],
    ...['pppoed', 'less 60', 'greater 60', 'inbound', 'outbound', 'iso proto \\clnp', 'ip proto \\udp'],
  ]);
}

function hostDirection(random: Random): string {
  return random.pick(['host ', 'host ', 'src ', 'dst host ', 'src or dst ', 'src and dst host ']);
}

function transport(random: Random): string {
  return random.pick(['', '', 'tcp ', 'udp ', 'sctp ']);
}

/** Abbreviations: ` or X` with the qualifiers of what stands before. */
function more(random: Random, values: readonly (string | number)[]): string {
  return random.oneIn(4) ? ` or ${random.pick(values)}` : '';
}

function optional(random: Random, numbers: readonly number[]): string {
  return random.oneIn(2) ? ` ${random.pick(numbers)}` : '';
}

function relation(random: Random): string {
  if (random.oneIn(4)) {
    return random.pick([
      'tcp[tcpflags] & (tcp-syn|tcp-ack) != 0',
      'tcp[tcpflags] = tcp-syn',
      'icmp[icmptype] = icmp-echo',
      'icmp6[icmp6type] == icmp6-echo',
      'ip[6:2] & 0x1fff = 0',
      'ether[0] & 1 = 0 and ip[16] >= 224',
      'ip[0] & 0xf != 5',
      'ip[2:2] > 576',
      'len - 14 > ip[2:2]',
    ]);
  }
  const comparison = random.pick(['=', '==', '!=', '<', '<=', '>', '>=']);
  return `${arithmetic(random, 2)} ${comparison} ${arithmetic(random, 2)}`;
}

function arithmetic(random: Random, depth: number): string {
  if (depth > 0 && random.oneIn(2)) {
    const operator = random.pick(['+', '-', '*', '&', '|', '^', '<<', '>>', '/', '%']);
    const right = '<>/%'.includes(operator[0]!) ? String(random.between(1, 7)) : arithmetic(random, depth - 1);
    const text = `${arithmetic(random, depth - 1)} ${operator} ${right}`;
    return random.oneIn(2) ? `(${text})` : text;
  }
  switch (random.below(5)) {
    case 0:
      return String(random.pick([0, 1, 5, 6, 64, 255, 0x0800, 0xffff]));
    case 1:
      return 'len';
    default:
      return bytes(random, depth);
  }
}

function bytes(random: Random, depth: number): string {
  const header = random.pick(['ether', 'ip', 'ip', 'ip6', 'arp', 'tcp', 'udp', 'icmp', 'icmp6', 'sctp', 'igmp']);
  const index =
    depth > 0 && random.oneIn(6) ? arithmetic(random, depth - 1) : String(random.pick([0, 0, 1, 2, 6, 9, 12, 13, 20]));
  return `${header}[${index}${random.pick(['', '', ':1', ':2', ':4'])}]`;
}
