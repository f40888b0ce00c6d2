import type { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import type { BindRequest, MemoryRegistration, Mode, TransmitMetadata } from '../kernel/contract.js';
import { checkLink } from '../kernel/foreign-link.js';
import { SEND_ONLY_REMEDY } from '../kernel/remedies.js';
import { TRANSMIT_METADATA_BYTES } from '../ring/xdp/layout.js';
import { isFiltered } from '../steering/filtered.js';
import { isRedirected } from '../steering/redirected.js';
import type { Receive } from '../steering/rules.js';
import {
  AF_XDP,
  EBUSY,
  EINVAL,
  ENETDOWN,
  ENOBUFS,
  ENODEV,
  ENOMEM,
  ENOTSUPP,
  EOPNOTSUPP,
  ETH_HLEN,
  SOL_XDP,
  XDP_COPY,
  XDP_OPTIONS,
  XDP_OPTIONS_ZEROCOPY,
  XDP_SHARED_UMEM,
  XDP_UMEM_REG,
  XDP_UMEM_TX_METADATA_LEN,
  XDP_UMEM_TX_SW_CSUM,
  XDP_USE_NEED_WAKEUP,
  XDP_USE_SG,
  XDP_ZEROCOPY,
} from './constants.js';
import { LARGEST_FRAME, receiveBufferUnit, receiveRoom } from './frame-room.js';
import type { LinuxInterface } from './interfaces.js';
import { GONE_REMEDY } from './interfaces.js';
import { socketInTheWay } from './occupants.js';
import { Struct } from './struct.js';
import { type Meanings, systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';
import { NO_METADATA, wantsMetadata } from './transmit-metadata.js';

/** The modes of AF_XDP sockets. */
export type BoundMode = Extract<Mode, 'xdp-zc' | 'xdp-copy' | 'xdp-generic'>;

/** Most frames of one packet in copy mode, as the kernel is usually built (CONFIG_MAX_SKB_FRAGS and the head). */
const MOST_FRAMES_PER_PACKET = 18;

/**
 * Checks what can be known before the kernel is asked, so that the user gets the reason instead of EINVAL.
 *
 * @returns the queue and mode to bind
 * @throws PacketError NOT_ETHERNET, MODE_UNSUPPORTED, NO_QUEUE, FRAME_TOO_SMALL, INVALID_OPTION
 */
export function checkBinding(
  request: BindRequest,
  device: LinuxInterface,
  memory: MemoryRegistration,
  receives: boolean,
  transmits: boolean,
): { queue: number; mode: BoundMode } {
  const { mode, receive } = request;
  checkLink(device);
  if (mode !== 'xdp-zc' && mode !== 'xdp-copy' && mode !== 'xdp-generic') {
    throw new PacketError('MODE_UNSUPPORTED', `mode ${mode} is not one of an AF_XDP socket`, {
      remedy: 'make the socket with the version that the mode needs; this one does xdp-zc, xdp-copy, xdp-generic',
    });
  }
  if (request.fanout !== undefined) {
    throw new PacketError('MODE_UNSUPPORTED', 'fanout: AF_XDP sockets form no groups', {
      remedy: "a socket for each queue; or mode: ['v3', 'v2']",
    });
  }
  checkReceiveRing(receive, receives);
  const queue = checkQueue(request.queue, device, receive !== 'none', transmits);
  // In zero-copy the queue's receive side is the socket's, whether it wants packets or not: the kernel binds no smaller frames.
  const fills = receive !== 'none' || mode === 'xdp-zc';
  if (fills && !request.segments && device.driver !== 'loopback') checkRoom(device, memory, mode);
  return { queue, mode };
}

/** Without packets of several frames, a packet longer than a frame's room would be dropped, or the driver refuse. */
function checkRoom({ name, driver, mtu }: LinuxInterface, memory: MemoryRegistration, mode: BoundMode): void {
  const needed = mtu + ETH_HLEN;
  const unit = mode === 'xdp-zc' ? receiveBufferUnit(driver) : 1;
  const room = receiveRoom(memory.frameSize, memory.headroom, unit);
  if (needed <= room) return;
  const largest = receiveRoom(LARGEST_FRAME, memory.headroom, unit);
  const units = unit === 1 ? '' : `, of which ${driver} takes whole units of ${unit}`;
  throw new PacketError(
    'FRAME_TOO_SMALL',
    `packets of ${name} have up to ${needed} bytes, and a frame has room for ${room}${units}`,
    {
      remedy:
        memory.frameSize < LARGEST_FRAME && needed <= largest
          ? `frameSize: ${LARGEST_FRAME}`
          : `ip link set dev ${name} mtu ${largest - ETH_HLEN}, and frameSize: ${LARGEST_FRAME}`,
    },
  );
}

/** Whoever asks for packets needs a ring for them. @throws PacketError INVALID_OPTION */
export function checkReceiveRing(receive: Receive, hasRing: boolean): void {
  if (receive !== 'none' && !hasRing) {
    const asked =
      receive === 'all'
        ? "'all'"
        : isRedirected(receive)
          ? 'a map of sockets'
          : isFiltered(receive)
            ? 'a filter'
            : 'a list of rules';
    throw new PacketError('INVALID_OPTION', `receive: ${asked} asks for packets, and the socket has no RX ring`, {
      remedy: SEND_ONLY_REMEDY,
    });
  }
}

/** Two of the kernel's silences: a queue without a receive side gets no packets, one without a send side sends none. */
function checkQueue(wanted: number | undefined, device: LinuxInterface, receives: boolean, transmits: boolean): number {
  const { name, queues, receiveQueues, transmitQueues } = device;
  if (wanted === undefined && queues !== 1) {
    throw new PacketError('NO_QUEUE', `${name} has ${queues} queues, and an AF_XDP socket is bound to one`, {
      remedy: `name one (queue: 0 to ${queues - 1}); \`ethtool -L ${name} combined 1\` sends everything to queue 0`,
    });
  }
  const queue = wanted ?? 0;
  const valid = Number.isInteger(queue) && queue >= 0 && queue < queues;
  if (valid && !(receives && queue >= receiveQueues) && !(transmits && queue >= transmitQueues)) return queue;
  const has =
    receiveQueues === transmitQueues ? `${queues}` : `${receiveQueues} receive and ${transmitQueues} transmit queues`;
  throw new PacketError(
    'NO_QUEUE',
    `queue: ${String(wanted)} does not exist on ${name}, which has ${has}, counted from 0`,
    {
      remedy: `\`ethtool -l ${name}\` shows the queues, \`ethtool -L ${name}\` changes their number`,
    },
  );
}

/** What binding needs. */
export interface BindFacts {
  readonly calls: SystemCalls;
  readonly arena: Arena;
  readonly descriptor: number;
  readonly device: LinuxInterface;
  readonly queue: number;
  readonly mode: BoundMode;
  readonly memory: MemoryRegistration;
  readonly segments: boolean;
  /** What metadata in front of sent packets may ask for. */
  readonly metadata: TransmitMetadata;
}

/**
 * Binds, with the socket's own registration of the packet buffer or with another socket's of the same device.
 *
 * @param owner descriptor of that other socket
 * @returns whether it is bound; false when another socket has the queue
 * @throws PacketError for everything else
 */
export function bindQueue(facts: BindFacts, owner: number | undefined): boolean {
  const { calls, descriptor, device, queue, mode, segments } = facts;
  const copyOrNot = mode === 'xdp-zc' ? XDP_ZEROCOPY : XDP_COPY;
  // A sharing socket inherits the first one's mode, and may not name one.
  const flags = owner === undefined ? copyOrNot | XDP_USE_NEED_WAKEUP | (segments ? XDP_USE_SG : 0) : XDP_SHARED_UMEM;
  const address = new Struct(16) // struct sockaddr_xdp
    .u16(0, AF_XDP)
    .u16(2, flags)
    .u32(4, device.index)
    .u32(8, queue)
    .u32(12, owner ?? 0);
  const result = calls.bind(descriptor, address);
  if (result < 0 && result !== -EBUSY) throw bindError(facts, -result);
  return result >= 0;
}

/** The error for a failed bind. */
export function bindError(facts: BindFacts, errno: number): PacketError {
  const what = `bind to queue ${facts.queue} of ${facts.device.name} in ${facts.mode}`;
  return systemCallError('bind AF_XDP', errno, what, bindMeanings(facts, errno));
}

/**
 * Registers the packet buffer with the socket.
 *
 * @throws PacketError NO_PRIVILEGE (locked memory), MODE_UNSUPPORTED (a kernel without metadata), SYSTEM_CALL
 */
export function registerMemory(facts: BindFacts): void {
  const { calls, arena, descriptor, memory, metadata } = facts;
  const { base, frames, frameSize, headroom } = memory;
  // struct xdp_umem_reg; kernels that do not know its last field take it as long as it is zero, like the flags.
  const withMetadata = wantsMetadata(metadata);
  const software = metadata.checksums && facts.mode !== 'xdp-zc' ? XDP_UMEM_TX_SW_CSUM : 0;
  const registration = new Struct(28 + 4)
    .u32(24, withMetadata ? XDP_UMEM_TX_METADATA_LEN | software : 0)
    .u32(28, withMetadata ? TRANSMIT_METADATA_BYTES : 0)
    .u64(0, calls.address(arena.u8) + BigInt(base))
    .u64(8, frames * frameSize)
    .u32(16, frameSize)
    .u32(20, headroom);
  const result = calls.setsockopt(descriptor, SOL_XDP, XDP_UMEM_REG, registration);
  if (result < 0) {
    const kilobytes = Math.ceil((frames * frameSize) / 1024);
    throw systemCallError('setsockopt XDP_UMEM_REG', -result, `register a packet buffer of ${kilobytes} KiB`, {
      ...(withMetadata ? { [EINVAL]: NO_METADATA } : {}),
      [ENOBUFS]: {
        code: 'NO_PRIVILEGE',
        why: 'it exceeds the locked memory that the program may have',
        remedy: `raise the limit (\`ulimit -l ${kilobytes * 2}\` as root, LimitMEMLOCK= in systemd), give the program CAP_IPC_LOCK, or use fewer frames`,
      },
    });
  }
}

function bindMeanings({ calls, device, queue, mode, segments, metadata }: BindFacts, errno: number): Meanings {
  if (errno === EBUSY) return { [EBUSY]: socketInTheWay(calls, device, queue) }; // looked up only when it is asked for
  const { name, driver } = device;
  const noZeroCopy = {
    code: 'NO_DRIVER_ZEROCOPY',
    why: `the driver ${driver || 'of this interface'} has no zero-copy, or not with these settings`,
    remedy:
      "use mode 'xdp-copy'; drivers with zero-copy are ice, i40e, ixgbe, igc, mlx5 and others, in Linux 6.16 also igb and virtio_net",
  } as const;
  const noSegments = {
    code: 'MODE_UNSUPPORTED',
    why: 'this kernel has no packets of several frames',
    remedy: 'Linux from 6.6, or open the socket without segments',
  } as const;
  const noChecksums = {
    code: 'MODE_UNSUPPORTED',
    why: `the kernel computes no checksums for the driver ${driver}`,
    remedy: 'open the socket without transmitChecksums',
  } as const;
  return {
    ...(segments ? { [EINVAL]: noSegments } : {}),
    ...(metadata.checksums ? { [EOPNOTSUPP]: noChecksums } : {}),
    [ENODEV]: { code: 'NO_INTERFACE', why: 'the interface is gone', remedy: GONE_REMEDY },
    [ENETDOWN]: {
      code: 'NO_INTERFACE',
      why: 'the interface is down',
      remedy: `ip link set dev ${name} up`,
    },
    [ENOMEM]: {
      code: 'SYSTEM_CALL',
      why: 'the kernel has no memory for it',
      remedy: 'use fewer frames or shorter rings',
    },
    ...(mode === 'xdp-zc' ? { [EOPNOTSUPP]: noZeroCopy, [ENOTSUPP]: noZeroCopy, [EINVAL]: noZeroCopy } : {}),
  };
}

/** Reads the mode back from the kernel (XDP_OPTIONS). Native and generic differ in the program's link, not in the socket. */
export function boundMode(calls: SystemCalls, descriptor: number, wanted: BoundMode): BoundMode {
  const options = new Struct(4);
  const result = calls.getsockopt(descriptor, SOL_XDP, XDP_OPTIONS, options);
  if (result < 0) throw systemCallError('getsockopt XDP_OPTIONS', -result, 'ask which mode the socket got');
  if ((options.readU32(0) & XDP_OPTIONS_ZEROCOPY) !== 0) return 'xdp-zc';
  return wanted === 'xdp-zc' ? 'xdp-copy' : wanted;
}

/** Largest packet, in bytes with its Ethernet header, that interface and frames can send. */
export function largestPacket(device: LinuxInterface, memory: MemoryRegistration, segments: boolean): number {
  return Math.min(device.mtu + ETH_HLEN, memory.frameSize * (segments ? MOST_FRAMES_PER_PACKET : 1));
}
