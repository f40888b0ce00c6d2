/*
 * Filter expressions of every kind that pcap-filter(7) describes: first those of its examples, then each primitive with each of its
 * qualifiers.
 */

const EXAMPLES = [
  'host 10.0.0.1',
  'host 10.0.0.1 and ( 10.0.1.2 or 192.168.1.7 )',
  'ip host 10.0.0.1 and not 10.0.1.2',
  'net 10.0.0.0/8 and not port 80',
  'ip and not net 10.0',
  'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net 10.0',
  'tcp[tcpflags] & (tcp-rst|tcp-ack) == (tcp-rst|tcp-ack)',
  'tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)',
  'ip[2:2] > 576',
  'ether[0] & 1 = 0 and ip[16] >= 224',
  'icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply',
  'icmp6[icmp6type] != icmp6-echo and icmp6[icmp6type] != icmp6-echoreply',
  'ip[0] & 0xf != 5',
  'ip[6:2] & 0x1fff = 0',
  'vlan 100 && vlan 200',
  'vlan && vlan 300 && ip',
  'mpls 100000 && mpls 1024',
  'mpls && mpls 1024 && host 192.9.200.1',
  'pppoes && ip',
  'pppoes 0x27 && ip',
  'not host 10.0.0.1 and 10.0.1.2',
  'not ( host 10.0.0.1 or 10.0.1.2 )',
  'tcp dst port ftp or ftp-data or domain',
  'host 10.0.0.1 and !port 53 and !port 80',
  'ip proto \\tcp and ip[8] < 5',
];

const WORDS = [
  ...['ip', 'ip6', 'arp', 'rarp', 'tcp', 'udp', 'sctp', 'icmp', 'icmp6', 'igmp', 'igrp', 'pim', 'vrrp', 'carp', 'ah'],
  ...['esp', 'atalk', 'aarp', 'decnet', 'lat', 'sca', 'moprc', 'mopdl', 'iso', 'stp', 'ipx', 'netbeui', 'clnp', 'esis'],
  ...['isis', 'es-is', 'is-is', 'broadcast', 'multicast', 'ether broadcast', 'ether multicast', 'ip multicast'],
  ...['ip6 multicast', 'llc', 'pppoed', 'pppoes', 'vlan', 'mpls', 'inbound'],
];

const KINDS_OF_LLC = ['i', 's', 'u', 'rr', 'rnr', 'rej', 'ui', 'ua', 'disc', 'sabme', 'test', 'xid', 'frmr'];

const DIRECTIONS = ['', 'src ', 'dst ', 'src or dst ', 'dst or src ', 'src and dst ', 'dst and src '];

function each(first: readonly string[], second: readonly (string | number)[]): string[] {
  return first.flatMap((one) => second.map((other) => one + other));
}

const ADDRESSES = [
  ...each(each(['', 'ip ', 'arp ', 'rarp '], DIRECTIONS), ['host 10.0.0.1']),
  ...each(['src ', 'dst ', 'ip src ', 'arp dst '], ['10.0.0.1', '192.168.1.7']),
  ...each(each(['', 'ip6 '], DIRECTIONS), ['host 2001:db8::1']),
  ...each(each(['', 'ip ', 'arp '], ['', 'src ', 'dst ']), ['net 10', 'net 10.0', 'net 192.168.1', 'net 10.0.0.0/15']),
  ...['net 0.0.0.0/0', 'net 10.0.0.1/32', 'net 10.0.0.0 mask 255.255.254.0', 'net 224.0.0.0/4', 'net 10.0.0.0/8'],
  ...['net 0', 'net 192.168.0.0/16', 'src net 192.168 and dst net 10.0.1', 'host 0x0a000001', 'net 10.0.1.2'],
  ...each(each(['', 'ip6 '], ['', 'src ', 'dst ']), ['net 2001:db8::/32', 'net 2001:db8:0:1::/64', 'net fe80::/10']),
  ...['net ::/0', 'net ff00::/8', 'net 2001:db8::/33', 'net 2001:db8::/127', 'net 2001:db8::1/128', 'host ::1'],
  ...each(['ether host ', 'ether src ', 'ether dst ', 'ether src or dst '], ['02:00:00:00:00:01', 'ff:ff:ff:ff:ff:ff']),
  ...[
    'ether host 02-00-00-00-00-01',
    'ether host 0200.0000.0001',
    'ether src and dst 2:0:0:0:0:1',
    'link host 2:0:0:0:0:2',
  ],
];

const PORTS = [
  ...each(each(['', 'tcp ', 'udp ', 'sctp '], DIRECTIONS), ['port 53']),
  ...each(each(['', 'tcp ', 'udp '], ['', 'src ', 'dst ', 'src and dst ']), ['portrange 80-443', 'portrange 0-1000']),
  ...['portrange 443-80', 'portrange 80', 'portrange 80-80', 'portrange 0-65535', 'port 0'],
  ...['port domain', 'port https', 'udp port ntp', 'tcp port 0x50', 'port 0120', 'port 65535', 'udp dst port bootps'],
  ...['tcp port 80 or 443', 'port (80 or 443)', 'port 80 or udp port 53', 'tcp src port 22 and dst port 1000'],
];

const PROTOCOLS = [
  ...each(['ip proto ', 'ip6 proto ', 'proto '], ['\\tcp', '\\udp', '\\icmp', 1, 6, 17, 44, 50, 58, 103, 132, 0, 255]),
  ...each(['ether proto '], ['\\ip', '\\ip6', '\\arp', '\\rarp', '\\stp', '\\iso', '\\ipx', '\\netbeui', '\\aarp']),
  ...each(
    ['ether proto '],
    ['0x800', '0x86dd', '0x88cc', '0x42', '0xaa', '0xe0', '0xf0', '0xfe', '0xff', '1500', '1501'],
  ),
  ...each(['ether proto '], ['\\decnet', '\\lat', '\\moprc', '\\mopdl', '\\sca', '\\atalk', 'loopback', '0x600', '0']),
  ...each(['iso proto '], ['\\clnp', '\\esis', '\\isis', '0x81']),
];

const ENCAPSULATIONS = [
  ...each(
    ['vlan 5', 'vlan', 'vlan and vlan 7', 'vlan 0', 'mpls', 'mpls 16', 'mpls and mpls', 'pppoes', 'pppoes 5'],
    [
      ...['', ' and ip', ' and ip6', ' and host 10.0.0.1', ' and udp port 53', ' and net 2001:db8::/32', ' and tcp'],
      ...[' and ip[8] < 64', ' and tcp[tcpflags] & tcp-syn != 0', ' or ip proto 17', ' and not ip host 10.0.0.1'],
    ],
  ),
  ...['not vlan', 'not vlan 5 and ip', 'ip or vlan and ip', 'vlan or mpls', 'vlan 5 or vlan 7', '(vlan and arp) or ip'],
  ...[
    'vlan and arp',
    'vlan and mpls and ip',
    'vlan and pppoes and ip6',
    'pppoes and mpls and ip',
    'pppoes or host 10.0.0.1',
  ],
  ...[
    'vlan and ether host 02:00:00:00:00:01',
    'vlan and ether proto 0x88cc',
    'vlan and llc',
    'vlan and stp',
    'vlan and ipx',
  ],
  ...['pppoes and tcp port 80', 'pppoes and ip6 and udp', 'pppoes and ether proto 0x21', 'vlan (5)', 'pppoes ((5))'],
];

const CALCULATIONS = [
  ...each(
    each(['ip', 'ip6', 'tcp', 'udp', 'icmp', 'icmp6', 'arp', 'ether', 'sctp', 'igmp'], ['[0]', '[1:2]', '[4:4]']),
    [...[' = 0', ' != 0x45', ' > 5', ' <= 0x4500']],
  ),
  ...each(['ip[9]', 'len', 'tcp[13] & 7', '(udp[4:2] + 8) * 2', 'ip[0] >> 4'], [' = 4', ' == 6', ' < 17', ' >= 60']),
  ...['ip[ip[0] & 0xf] = 0', 'tcp[tcp[12] >> 2] = 1', 'ip[-2:2] = 0x800', 'ether[len - 1] != 0', 'ip[20 + 2:2] = 53'],
  ...['len > ip[2:2] + 14', 'ip[2:2] + 14 = len', '5 < ip[8]', '1 = 1', '1 = 2', '1 + 1 = 2 and ip', 'len = len'],
  ...[
    'ip[8] + ip[9] > 70',
    'ip[8] - ip[9] > 70',
    'ip[8] * ip[9] > 70',
    'ip[8] / 2 > 7',
    'ip[8] % 3 = 1',
    'ip[8] / ip[9] = 3',
  ],
  ...[
    'ip[8] % ip[9] = 3',
    'ip[8] | 1 = 0x41',
    'ip[8] ^ 0x40 = 0',
    '-ip[8] > 5',
    'ip[1] << 2 = 0x40',
    'ip[8] & 0x3f = 0',
  ],
  ...[
    'ip[0] + (ip[1] + (ip[2] + (ip[3] + ip[4]))) > 99',
    '(ip[0] + ip[1]) * (ip[2] + ip[3]) < 9999',
    'tcp[0] + udp[0] = 1',
  ],
  ...[
    'tcp[tcpflags] = tcp-syn',
    'tcp[tcpflags] & tcp-ack = 0',
    'tcp[13] & 0x12 = 0x12',
    'tcp[tcpflags] & (tcp-push|tcp-urg) != 0',
  ],
  ...[
    'icmp[icmptype] = icmp-unreach',
    'icmp[icmpcode] = 3',
    'icmp6[icmp6type] = icmp6-neighborsolicit',
    'tcp[0:2] = 80',
  ],
  ...['less 60', 'greater 60', 'less 100 and greater 40', 'greater 0', 'less 0', 'len <= 100', 'length != 98'],
];

const COMBINATIONS = [
  ...['ip and tcp or udp', 'ip or ip6 and tcp', 'not tcp and udp', 'not (tcp or udp)', '! ip && ! ip6', 'ip || arp'],
  ...[
    'not not ip',
    '!!!ip',
    '((((ip))))',
    'not (not (ip and not arp))',
    '(ip or ip6) and (tcp or udp) and not port 53',
  ],
  ...['host 10.0.0.1 or 10.0.1.2 and not 192.168.1.7', 'host 10.0.0.1 and port 53 or 80', 'port 53 or 80 or 443 or 22'],
  ...['src host 10.0.0.1 or dst 10.0.1.2', 'host (10.0.0.1 or 10.0.1.2)', 'not host (10.0.0.1 or not 10.0.1.2)'],
  ...[
    'tcp and port 80 and host 10.0.0.1 and less 500',
    'udp and not broadcast and not multicast',
    'icmp or icmp6 or arp',
  ],
  ...[
    'ip and ip',
    'ip and not ip',
    'ip or not ip',
    'tcp port 80 and tcp port 80',
    'tcp and udp',
    'ip6 and host 10.0.0.1',
  ],
  ...[
    '(tcp port 80 or tcp port 443) and (host 10.0.0.1 or host 10.0.1.2 or net 192.168)',
    'ether multicast and not ip6 multicast',
  ],
  ...[
    'not port 53 and not port 80 and not port 443 and not port 22',
    'ether src 02:00:00:00:00:01 and ip dst 10.0.1.2',
  ],
];

export const FILTER_EXPRESSIONS: readonly string[] = [
  ...new Set([
    ...EXAMPLES,
    ...WORDS,
    ...each(['not '], WORDS),
    ...each(['llc '], KINDS_OF_LLC),
    ...ADDRESSES,
    ...PORTS,
    ...PROTOCOLS,
    ...ENCAPSULATIONS,
    ...CALCULATIONS,
    ...COMBINATIONS,
  ]),
];
