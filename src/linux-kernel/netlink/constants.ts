// Numbers of netlink, under the names their headers give them.

// <linux/netlink.h>
export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_GENERIC = 16;
export const NLM_F_REQUEST = 0x01;
export const NLM_F_ACK = 0x04;
/** NLM_F_ROOT | NLM_F_MATCH: everything there is. */
export const NLM_F_DUMP = 0x300;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
/** Bytes of struct nlmsghdr: length, type, flags, sequence, port. */
export const NLMSG_HDRLEN = 16;
/** Bytes of struct nlattr: length, type. */
export const NLA_HDRLEN = 4;
/** An attribute's type without its two flags. */
export const NLA_TYPE_MASK = 0x3fff;

// <linux/genetlink.h>
export const GENL_ID_CTRL = 0x10;
export const CTRL_CMD_GETFAMILY = 3;
export const CTRL_ATTR_FAMILY_ID = 1;
export const CTRL_ATTR_FAMILY_NAME = 2;

// <linux/netdev.h>, since Linux 6.3
export const NETDEV_FAMILY_NAME = 'netdev';
export const NETDEV_CMD_DEV_GET = 1;
export const NETDEV_A_DEV_IFINDEX = 1;
export const NETDEV_A_DEV_XDP_FEATURES = 3;
export const NETDEV_A_DEV_XDP_ZC_MAX_SEGS = 4;
export const NETDEV_A_DEV_XDP_RX_METADATA_FEATURES = 5;
export const NETDEV_A_DEV_XSK_FEATURES = 6;

// <linux/rtnetlink.h>, <linux/if_link.h>
export const RTM_NEWLINK = 16;
export const RTM_GETLINK = 18;
/** Bytes of struct ifinfomsg: family, type, index (at 4), flags (at 8), change. */
export const IFINFOMSG_BYTES = 16;
export const IFLA_LINK = 5;
export const IFLA_LINKINFO = 18;
export const IFLA_PROMISCUITY = 30;
export const IFLA_CARRIER = 33;
export const IFLA_LINK_NETNSID = 37;
export const IFLA_XDP = 43;
export const IFLA_INFO_KIND = 1;
export const IFLA_XDP_DRV_PROG_ID = 5;
export const IFLA_XDP_SKB_PROG_ID = 6;
export const IFLA_XDP_HW_PROG_ID = 7;

// <linux/sock_diag.h>, <linux/xdp_diag.h>
export const SOCK_DIAG_BY_FAMILY = 20;
export const XDP_SHOW_INFO = 1 << 0;
/** Bytes of struct xdp_diag_msg: family, type, padding, inode (at 4), cookie. */
export const XDP_DIAG_MSG_BYTES = 16;
export const XDP_DIAG_INFO = 1;
