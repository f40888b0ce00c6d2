// Numbers of the Linux user-space interface, under the names their headers give them.

// <sys/socket.h>, <bits/socket.h>
export const AF_INET = 2;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const AF_XDP = 44;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
/** The descriptor is not inherited by programs that this one starts. */
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
// These are the same on x86, ARM and RISC-V, the machines that system-calls.ts admits.
export const SO_ERROR = 4;
export const SO_ATTACH_FILTER = 26;
export const SO_DETACH_FILTER = 27;
export const SO_BUSY_POLL = 46;
/** Both since Linux 5.11. */
export const SO_PREFER_BUSY_POLL = 69;
export const SO_BUSY_POLL_BUDGET = 70;
/** Bytes that may be on their way out, beyond what an ordinary program may ask for. */
export const SO_SNDBUFFORCE = 32;
export const SOL_PACKET = 263;
export const SOL_XDP = 283;
export const MSG_DONTWAIT = 0x40;
/** The length returned is the datagram's, even where it did not fit. */
export const MSG_TRUNC = 0x20;

// <sys/mman.h>
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_POPULATE = 0x8000;
export const MAP_HUGETLB = 0x40000;
export const MADV_HUGEPAGE = 14;
/** Since Linux 5.14: commits the pages now, for writing. */
export const MADV_POPULATE_WRITE = 23;
export const MFD_CLOEXEC = 0x1;
export const MFD_ALLOW_SEALING = 0x2;
export const MFD_HUGETLB = 0x4;

// <fcntl.h>
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const F_SEAL_SEAL = 0x1;
export const F_SEAL_SHRINK = 0x2;
export const F_SEAL_GROW = 0x4;

// <sys/file.h>
export const LOCK_EX = 2;
export const LOCK_NB = 4;

// <poll.h>
export const POLLIN = 0x1;
export const POLLOUT = 0x4;

// <linux/if_xdp.h>: socket options
export const XDP_MMAP_OFFSETS = 1;
export const XDP_RX_RING = 2;
export const XDP_TX_RING = 3;
export const XDP_UMEM_REG = 4;
export const XDP_UMEM_FILL_RING = 5;
export const XDP_UMEM_COMPLETION_RING = 6;
export const XDP_STATISTICS = 7;
export const XDP_OPTIONS = 8;
/** xdp_umem_reg.flags, since Linux 6.8: checksums are computed in software; the length of metadata in front of packets is given. */
export const XDP_UMEM_TX_SW_CSUM = 1 << 1;
export const XDP_UMEM_TX_METADATA_LEN = 1 << 2;
/** Since Linux 6.17: packets that one sendto may send in copy mode (32 before, and by default). */
export const XDP_MAX_TX_SKB_BUDGET = 9;

// <linux/if_xdp.h>: sockaddr_xdp.sxdp_flags
export const XDP_SHARED_UMEM = 1 << 0;
export const XDP_COPY = 1 << 1;
export const XDP_ZEROCOPY = 1 << 2;
export const XDP_USE_NEED_WAKEUP = 1 << 3;
/** Since Linux 6.6: packets may span several frames. */
export const XDP_USE_SG = 1 << 4;

// <linux/if_xdp.h>: the rest
/** Bit of a ring's flags word: the kernel sleeps and wants a kick. */
export const XDP_RING_NEED_WAKEUP = 1 << 0;
/** xdp_options.flags: the socket got zero-copy. */
export const XDP_OPTIONS_ZEROCOPY = 1 << 0;
/** mmap offsets, in bytes, that name the ring to map. */
export const XDP_PGOFF_RX_RING = 0;
export const XDP_PGOFF_TX_RING = 0x80000000;
export const XDP_UMEM_PGOFF_FILL_RING = 0x100000000;
export const XDP_UMEM_PGOFF_COMPLETION_RING = 0x180000000;

// <linux/if_packet.h>: socket options
export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_DROP_MEMBERSHIP = 2;
export const PACKET_RX_RING = 5;
export const PACKET_STATISTICS = 6;
export const PACKET_VERSION = 10;
/** Bytes to keep free in front of each received packet. */
export const PACKET_RESERVE = 12;
export const PACKET_TX_RING = 13;
/** A malformed packet to send is skipped, instead of stopping the ring. */
export const PACKET_LOSS = 14;
export const PACKET_FANOUT = 18;
export const PACKET_QDISC_BYPASS = 20;
/** Since Linux 4.20: the socket does not hear what the machine itself sends. */
export const PACKET_IGNORE_OUTGOING = 23;

// <linux/if_packet.h>: the rest
export const TPACKET_V2 = 1;
export const TPACKET_V3 = 2;
export const PACKET_MR_PROMISC = 1;
export const PACKET_FANOUT_HASH = 0;
export const PACKET_FANOUT_LB = 1;
export const PACKET_FANOUT_CPU = 2;
export const PACKET_FANOUT_ROLLOVER = 3;
export const PACKET_FANOUT_RND = 4;
export const PACKET_FANOUT_QM = 5;
export const PACKET_FANOUT_FLAG_ROLLOVER = 0x1000;
export const PACKET_FANOUT_FLAG_IGNORE_OUTGOING = 0x4000;
export const PACKET_FANOUT_FLAG_DEFRAG = 0x8000;

// <linux/bpf.h>: bpf(2) commands
export const BPF_MAP_CREATE = 0;
export const BPF_MAP_LOOKUP_ELEM = 1;
export const BPF_MAP_UPDATE_ELEM = 2;
export const BPF_MAP_DELETE_ELEM = 3;
export const BPF_MAP_GET_NEXT_KEY = 4;
export const BPF_PROG_LOAD = 5;
export const BPF_OBJ_PIN = 6;
export const BPF_OBJ_GET = 7;
export const BPF_PROG_TEST_RUN = 10;
export const BPF_PROG_GET_FD_BY_ID = 13;
export const BPF_OBJ_GET_INFO_BY_FD = 15;
export const BPF_BTF_LOAD = 18;
export const BPF_MAP_LOOKUP_AND_DELETE_ELEM = 21;
export const BPF_MAP_FREEZE = 22;
export const BPF_MAP_LOOKUP_BATCH = 24;
export const BPF_MAP_UPDATE_BATCH = 26;
export const BPF_LINK_CREATE = 28;
export const BPF_LINK_UPDATE = 29;

// <linux/bpf.h>: types, flags
export const BPF_PROG_TYPE_XDP = 6;
// enum bpf_attach_type: what XDP programs are loaded for, and the attach type of XDP links.
export const BPF_XDP_DEVMAP = 35;
export const BPF_XDP_CPUMAP = 36;
export const BPF_XDP = 37;
/** Bytes of the name of a program or map, with its final zero. */
export const BPF_OBJ_NAME_LEN = 16;
/** Bytes that the kernel keeps free in front of a received packet. */
export const XDP_PACKET_HEADROOM = 256;
/** bpf_attr.prog_flags, since Linux 5.18: the program takes packets of several fragments. */
export const BPF_F_XDP_HAS_FRAGS = 1 << 5;
/** bpf_attr.prog_flags, since Linux 6.3: the program is for one interface, whose hints it may read. */
export const BPF_F_XDP_DEV_BOUND_ONLY = 1 << 6;
/** bpf_attr.test.flags: the packets really leave through the device. */
export const BPF_F_TEST_XDP_LIVE_FRAMES = 1 << 1;

// <linux/if_link.h>: where on the way of a packet the program runs
export const XDP_FLAGS_SKB_MODE = 1 << 1;
export const XDP_FLAGS_DRV_MODE = 1 << 2;

// <linux/sockios.h>, <linux/ethtool.h>, <linux/if.h>, <linux/if_arp.h>, <linux/if_ether.h>
export const SIOCETHTOOL = 0x8946;
/** Asks for the name of the interface with an index. */
export const SIOCGIFNAME = 0x8910;
export const ETHTOOL_GDRVINFO = 0x03;
export const ETHTOOL_GRINGPARAM = 0x10;
export const ETHTOOL_GSTRINGS = 0x1b;
export const ETHTOOL_GSSET_INFO = 0x37;
export const ETHTOOL_GFEATURES = 0x3a;
export const ETHTOOL_GCHANNELS = 0x3c;
export const ETHTOOL_GRXRINGS = 0x2d;
export const ETHTOOL_GRXCLSRLCNT = 0x2e;
export const ETHTOOL_GRXCLSRULE = 0x2f;
export const ETHTOOL_GRXCLSRLALL = 0x30;
export const ETHTOOL_SRXCLSRLDEL = 0x31;
export const ETHTOOL_SRXCLSRLINS = 0x32;
/** String set with the names of the features (offloads), one per bit. */
export const ETH_SS_FEATURES = 4;
/** Bytes of a name in a string set. */
export const ETH_GSTRING_LEN = 32;
export const IFF_UP = 1 << 0;
/** Bytes of an interface name with its final zero. */
export const IFNAMSIZ = 16;
/** Bytes of an Ethernet header. */
export const ETH_HLEN = 14;
/** Packets of every protocol. */
export const ETH_P_ALL = 3;

// <errno-base.h>, <errno.h>: the ones this code decides by
export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const ENXIO = 6;
export const E2BIG = 7;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENOSPC = 28;
export const ERANGE = 34;
export const ENOLINK = 67;
export const ENOPROTOOPT = 92;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const ENETDOWN = 100;
export const ENOBUFS = 105;
/** Kernel-internal "not supported"; some drivers let it escape. */
export const ENOTSUPP = 524;
