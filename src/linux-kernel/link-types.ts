// <linux/if_arp.h>: what an interface's packets begin with, as /sys/class/net/IFACE/type has it
const ARPHRD_ETHER = 1;
export const ARPHRD_LOOPBACK = 772;
const FOREIGN: Readonly<Partial<Record<number, string>>> = {
  32: 'InfiniBand', // ARPHRD_INFINIBAND
  280: 'CAN', // ARPHRD_CAN
  512: 'PPP', // ARPHRD_PPP
  768: 'an IP-in-IP tunnel', // ARPHRD_TUNNEL
  769: 'an IPv6 tunnel', // ARPHRD_TUNNEL6
  776: 'an IPv6-in-IPv4 tunnel', // ARPHRD_SIT
  778: 'a GRE tunnel', // ARPHRD_IPGRE
  801: 'WLAN in monitor mode', // ARPHRD_IEEE80211
  802: 'WLAN in monitor mode', // ARPHRD_IEEE80211_PRISM
  803: 'WLAN in monitor mode', // ARPHRD_IEEE80211_RADIOTAP
  804: 'IEEE 802.15.4', // ARPHRD_IEEE802154
  823: 'a GRE tunnel over IPv6', // ARPHRD_IP6GRE
  824: 'netlink', // ARPHRD_NETLINK
  65534: 'bare IP, as of a TUN device or WireGuard', // ARPHRD_NONE
};

/** What kind of link a number of linux/if_arp.h is, where its packets have no Ethernet header; undefined for those that have one. */
export function foreignLink(type: number): string | undefined {
  if (type === ARPHRD_ETHER || type === ARPHRD_LOOPBACK) return undefined;
  return FOREIGN[type] ?? `link type ${type}`;
}
