import type { Arena } from '../arena/arena.js';
import type { Receive } from '../steering/rules.js';

/**
 * The kernel contract: the socket calls of the talk (S1-S4), in order. Two kernels implement it: src/soft-kernel and
 * src/linux-kernel. The control plane is asynchronous, because the soft kernel may run on another thread; the data path
 * (rings in the arena, and `kick`) is synchronous. ARCHITECTURE.md tables each call against its Linux system calls.
 */
export interface Kernel {
  /** Which of the two it is. */
  readonly name: 'soft' | 'linux';
  /** The memory in which this kernel places rings and in which registered packet buffers must lie. */
  readonly arena: Arena;
  /** Whether it was closed or its thread has died, where it has one: nothing will happen any more, and waits end at once. */
  readonly ended?: boolean;
  /** The interfaces there are. @throws PacketError UNSUPPORTED_PLATFORM for the Linux kernel elsewhere */
  interfaces(): Promise<InterfaceInfo[]>;
  /** S1: makes a socket of a packet version. @throws PacketError MODE_UNSUPPORTED, NO_PRIVILEGE */
  socket(version: PacketVersion): Promise<KernelSocket>;
  /** Closes every socket and, on the soft kernel, every device; then its thread ends. Idempotent. */
  close(): Promise<void>;
}

/** The ring formats: AF_PACKET TPACKET_V2, _V3, the talk's V4, and AF_XDP. */
export type PacketVersion = 'v2' | 'v3' | 'v4' | 'xdp';

/** The modes of the ladder; the same names on both kernels. */
export type Mode =
  /** AF_XDP, the device's driver working in the socket's own frames. */
  | 'xdp-zc'
  /** AF_XDP, packets copied into its frames by a program in the driver. */
  | 'xdp-copy'
  /** AF_XDP, packets copied into its frames by a program in the stack; Linux only. */
  | 'xdp-generic'
  /** The talk's V4 with `PACKET_ZEROCOPY` (I2); soft kernel only. */
  | 'v4-zc'
  /** The talk's V4 in copy mode; soft kernel only. */
  | 'v4'
  /** AF_PACKET with TPACKET_V3: packets lie in blocks of the kernel's ring. */
  | 'v3'
  /** AF_PACKET with TPACKET_V2: each packet lies in a frame of the kernel's ring. */
  | 'v2';

/** One interface as its kernel describes it. */
export interface InterfaceInfo {
  /** What sockets name it by. */
  readonly name: string;
  /** Its number in the kernel, by which maps of devices name it (ifindex); absent where it was not asked for. */
  readonly index?: number;
  /** The driver's name: "veth", "igb", "softnic"; "" where Linux does not tell. */
  readonly driver: string;
  /** Number of queue pairs, or of the queues of the direction that has more. */
  readonly queues: number;
  /** Where the directions differ: queues on which packets arrive. */
  readonly receiveQueues?: number;
  /** Where the directions differ: queues through which packets leave. */
  readonly transmitQueues?: number;
  /** Largest packet in bytes, without Ethernet header. */
  readonly mtu: number;
  /** Whether the link is up. */
  readonly up: boolean;
  /** Link-layer address, "02:00:00:00:00:01". */
  readonly mac: string;
  /** Where packets begin with something else than an Ethernet header: what kind of link it is. No mode works there. */
  readonly foreignLink?: string;
  /** Modes that may be tried here. */
  readonly modes: readonly Mode[];
  /** Whether the driver has the zero-copy operations; undefined where the kernel does not tell and only trying does. */
  readonly zeroCopy: boolean | undefined;
  /** What one should know: a replayed capture file that is damaged, say. */
  readonly warnings?: readonly string[];
}

/**
 * One socket, seen from the application: its set-up calls, its kick, its end. `openSocket` makes these calls in order; programs that
 * hold its `PacketSocket` need none of them. Set-up calls reject with PacketError WRONG_STATE out of order, and with SOCKET_CLOSED after
 * `unbind`.
 */
export interface KernelSocket {
  /** The ring format, chosen when the socket was made (S1). */
  readonly version: PacketVersion;
  /**
   * S2: registers a packet buffer (V4 PACKET_MEMREG, XDP_UMEM_REG). V2 and V3 have none. The memory stays the caller's.
   * @throws PacketError INVALID_OPTION when it is no such piece of the arena, WRONG_STATE
   */
  registerMemory(memory: MemoryRegistration): Promise<void>;
  /** S3: sizes the rings. @throws PacketError INVALID_OPTION, WRONG_STATE, SYSTEM_CALL */
  createRings(rings: RingRequest): Promise<void>;
  /**
   * S3: maps them into the arena. They are this socket's alone, whoever shares its packet buffer (S6), and go with `close`.
   * @throws PacketError ARENA_EXHAUSTED, WRONG_STATE, SYSTEM_CALL
   */
  map(): Promise<SocketMaps>;
  /**
   * S3, S4: binds to an interface (and queue) in one mode, and says what it got. The rings may hold frames already.
   * @throws PacketError NO_INTERFACE, NO_QUEUE, QUEUE_BUSY, QUEUE_SHARED, INTERFACE_BUSY, GUARDED_INTERFACE, NO_DRIVER_ZEROCOPY,
   *   MODE_UNSUPPORTED, FRAME_TOO_SMALL, RULES_UNSUPPORTED, FLOW_TABLE_FULL, NO_PRIVILEGE, INVALID_OPTION, WRONG_STATE, SYSTEM_CALL
   */
  bind(request: BindRequest): Promise<Binding>;
  /**
   * Has the kernel poll the device in this socket's kicks and waits (Q7); before `map`. A socket without this call cannot.
   * @throws PacketError INVALID_OPTION, MODE_UNSUPPORTED (kernel too old), NO_PRIVILEGE
   */
  busyPoll?(request: BusyPollRequest): Promise<BusyPoll>;
  /**
   * Has the kernel look at metadata in front of sent packets that are marked so (linux: XDP_UMEM_TX_METADATA_LEN); before `bind`,
   * which refuses what the mode cannot do. A socket without this call cannot do any of it.
   */
  transmitMetadata?(wanted: TransmitMetadata): Promise<void>;
  /**
   * Changes what a bound socket receives, while traffic runs (Q4).
   * @throws PacketError RULES_UNSUPPORTED, FLOW_TABLE_FULL, QUEUE_SHARED
   */
  steer(receive: Receive): Promise<void>;
  /**
   * Data path: asks the kernel to look at a ring. The only call there is while packets move, and made only when the ring's wake word
   * says so (I1, F1). Never throws.
   */
  kick(direction: Direction): void;
  /**
   * The data path for another thread that shares the arena, and uses the socket from then on instead of this one; once the
   * rings are mapped. Absent where packets move on the kernel's own thread only.
   * @throws PacketError WRONG_STATE
   */
  dataPath?(): DataPathShare;
  /**
   * Waits until `ready()` holds, the time is over or the signal is aborted, without blocking the event loop.
   * @returns whether it is ready. Rejects with the signal's reason when aborted.
   */
  wait(ready: () => boolean, options: WaitOptions): Promise<boolean>;
  /** The same, blocking this thread (F1, Q7: busy polling asked for by the program). */
  waitBlocking(ready: () => boolean, options: BlockingWaitOptions): boolean;
  /** What the kernel has counted since `bind`, for this socket alone. */
  statistics(): Promise<KernelStatistics>;
  /**
   * The kernel lets go: no packet moves any more, and the frames in the rings are the application's again. The rings stay
   * readable, so that it can collect them. Idempotent.
   */
  unbind(): Promise<void>;
  /** Unbinds and unmaps the rings. Idempotent. */
  close(): Promise<void>;
}

/** Which ring a kick is about. */
export type Direction = 'receive' | 'transmit';

/** The calls that the user of a socket makes while packets move. */
export type DataPath = Pick<KernelSocket, 'kick' | 'wait' | 'waitBlocking'>;

/** What the data path of one socket is made of on another thread: plain data that only the kernel's own code reads. */
export interface DataPathShare {
  /** The kernel whose code reads it. */
  readonly kernel: Kernel['name'];
  /** The socket's ring format. */
  readonly version: PacketVersion;
}

/** A packet buffer as the kernel sees it. */
export interface MemoryRegistration {
  /** Arena offset in bytes, aligned to the frame size. */
  readonly base: number;
  /** Number of frames; they follow each other from `base` on. */
  readonly frames: number;
  /** Bytes per frame: a power of two. */
  readonly frameSize: number;
  /** User headroom in bytes in front of each packet: a multiple of 64, behind the kernel's own 256. */
  readonly headroom: number;
}

/** What metadata in front of sent packets may ask for. */
export interface TransmitMetadata {
  /** That a checksum is filled in. */
  readonly checksums: boolean;
  /** When the packet was sent: the answer is in the same place once the frame has come back. */
  readonly timestamps: boolean;
  /** That the device holds the packet back until then. */
  readonly launchTimes: boolean;
}

/** Ring sizes. Entries are powers of two; 0 or absence means "no such ring". */
export interface RingRequest {
  /** V4 and XDP: descriptors. V2: frames. V3: blocks. */
  readonly receive: number;
  /** V4 and XDP: descriptors. V2 and V3: frames. */
  readonly transmit: number;
  /** XDP: descriptors of the fill ring, on which empty frames are posted. */
  readonly fill?: number;
  /** XDP: descriptors of the completion ring, on which sent frames come back. */
  readonly completion?: number;
  /** V2, V3: bytes of one ring frame (tp_frame_size), a power of two. */
  readonly frameSize?: number;
  /** V3: bytes of one receive block (tp_block_size), a power of two. */
  readonly blockSize?: number;
  /** V2, V3: bytes to keep free in front of each received packet; absent: 0. Rounded up to 16. */
  readonly headroom?: number;
  /** V3: after how many milliseconds a block that is not full is handed over (tp_retire_blk_tov). */
  readonly retireMilliseconds?: number;
}

/** Where a socket's rings lie, as arena byte offsets. */
export interface SocketMaps {
  /** V4: descriptors. V2: frames. V3: blocks. XDP: the RX ring. */
  readonly receive?: RingMap;
  /** V4: descriptors. V2, V3: frames. XDP: the TX ring. */
  readonly transmit?: RingMap;
  /** XDP only. */
  readonly fill?: RingMap;
  /** XDP only. */
  readonly completion?: RingMap;
  /** Byte offset of the word whose bit 0 says "kick me to receive" (XDP_RING_NEED_WAKEUP); for XDP the fill ring's flags. */
  readonly wakeReceive: number;
  /** Byte offset of the word whose bit 0 says "kick me to send"; for XDP the TX ring's flags. */
  readonly wakeTransmit: number;
}

/** One ring in the arena. */
export interface RingMap {
  /** First descriptor, frame or block. */
  readonly base: number;
  /** Descriptors, frames or blocks. */
  readonly entries: number;
  /** Bytes of a descriptor, frame or block. */
  readonly entryBytes: number;
  /** Index rings only: byte offset of the word that counts what was put in, free-running modulo 2^32. */
  readonly producer?: number;
  /** Index rings only: byte offset of the word that counts what was taken out, free-running modulo 2^32. */
  readonly consumer?: number;
  /** V2, V3: bytes of a kernel block (tp_block_size), within which frames do not cross the end. */
  readonly blockBytes?: number;
}

/** What a socket is bound to, and how. */
export interface BindRequest {
  /** Name of the interface. */
  readonly interface: string;
  /** Queue pair; undefined binds to all of them where the version can (V2, V3, V4 in copy mode). */
  readonly queue?: number;
  /** Exactly this mode, or an error: the ladder is `openSocket`'s affair. */
  readonly mode: Mode;
  /** What the socket receives until it is steered. */
  readonly receive: Receive;
  /** Whether packets may span several frames (F9; XDP_USE_SG). */
  readonly segments: boolean;
  /** Whether rules become entries of the device's flow director, so that what they pick comes to the socket's queue; default false. */
  readonly flowDirector?: boolean;
  /** Linux: take all packets even where that cuts off an ssh session over the interface; default false. */
  readonly allowCutoff?: boolean;
  /** Linux: whether the interface takes packets for other addresses, too, while the socket receives; absent: it does not. */
  readonly promiscuous?: boolean;
  /** V2, V3 on Linux: whether sent packets go to the driver at once, past queueing and local taps; absent: they do not. */
  readonly bypassQueueing?: boolean;
  /** V2, V3 on Linux: whether the socket does not hear what the machine itself sends; absent: it hears it. */
  readonly ignoreOutgoing?: boolean;
  /** V2, V3 on Linux: the group of sockets that shares the interface's packets; absent: the socket hears all of them. */
  readonly fanout?: Fanout;
}

/** Busy polling as a program asks for it (linux: SO_BUSY_POLL, SO_BUSY_POLL_BUDGET, SO_PREFER_BUSY_POLL). */
export interface BusyPollRequest {
  /** For how long a wait may poll the device before it sleeps, in microseconds; 1 to 1,000,000. */
  readonly microseconds: number;
  /** Most packets that one poll of the device handles, 1 to 65535; default: what the kernel takes by itself, 8. */
  readonly budget?: number;
  /**
   * Whether the device's interrupts stay off for as long as the program polls; default false. Takes effect where
   * `napi_defer_hard_irqs` and `gro_flush_timeout` of the interface are set, too.
   */
  readonly prefer?: boolean;
}

/** Busy polling as the kernel granted it, read back from it. */
export interface BusyPoll {
  /** For how long a wait polls the device before it sleeps. */
  readonly microseconds: number;
  /** As asked for, once the kernel has accepted it: it does not tell. Undefined is the kernel's own. */
  readonly budget: number | undefined;
  /** Whether interrupts stay off while the program polls. */
  readonly prefer: boolean;
}

/**
 * A group of sockets among which the packets of an interface are divided (PACKET_FANOUT): each packet goes to one of them. All must
 * name the same interface, type and flags.
 */
export interface Fanout {
  /** Its number in the network namespace, 0 to 65535: sockets of other processes that name it belong to it, too. */
  readonly group: number;
  /** How a packet's socket is chosen. */
  readonly type: FanoutType;
  /** What else the group does; default nothing. */
  readonly flags?: readonly FanoutFlag[];
}

/**
 * How a packet's socket is chosen: by a hash of its flow, in turn, by the CPU it arrived on, the first with room in its ring, at
 * random, or by the receive queue.
 */
export type FanoutType = 'hash' | 'load-balance' | 'cpu' | 'rollover' | 'random' | 'queue';

/** `rollover`: when the chosen socket's ring is full, the next one with room. `defragment`: IP fragments are put together before. */
export type FanoutFlag = 'rollover' | 'defragment';

/** What the kernel did, read back from it. */
export interface Binding {
  /** The mode that is in force. */
  readonly mode: Mode;
  /** The queue pair; undefined for all of them. */
  readonly queue: number | undefined;
  /** Whether the ordinary stack and other taps do not see these packets (brief: "What a socket receives"). */
  readonly exclusive: boolean;
  /** Largest packet that can be sent, in bytes with its Ethernet header. */
  readonly largestPacket: number;
  /**
   * Where the times of sent packets come from: the device's clock, as the packet left; or the kernel's, as it let go of the packet. Absent
   * where they were not asked for.
   */
  readonly transmitTimestamps?: 'device' | 'kernel';
}

/** How a socket of a kernel waits without blocking the event loop. */
export interface WaitOptions {
  /** Milliseconds from now, 0 to look once; undefined: no limit. */
  readonly timeoutMilliseconds?: number | undefined;
  /** Ends the wait: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Nanoseconds to spin before sleeping (hybrid waiting, Q7). */
  readonly spinNanoseconds?: number | undefined;
}

/** How a socket of a kernel waits while it blocks its thread. */
export interface BlockingWaitOptions {
  /** Milliseconds from now, 0 to look once. */
  readonly timeoutMilliseconds: number;
  /** `busy` never sleeps; `sleep` blocks in the kernel. */
  readonly how: 'busy' | 'sleep';
}

/**
 * Places where packets can be lost. Every drop has one, and is counted once: in the statistics of the socket whose ring, frame or
 * rule it was, or, where a packet was lost before anybody could know whose it would be, by the device.
 *
 * The first three places are before a socket. A socket counts them where the loss can only have been its own: `nic-no-descriptor`
 * of its queue in zero-copy modes; all three where an exclusive mode and `receive: 'all'` give it everything from a device of one
 * queue. Otherwise the soft kernel's `deviceStatistics` tells them (`wire_rx_lost`, `rx_oversize`, `rx_no_descriptor`; and
 * `wire_tx_lost` for what a device has sent into a full cable), and on Linux `ethtool -S` and `ip -s link`.
 *
 *     wire                the wire lost it (fault injection, a full patch cable, link down)
 *     nic-oversize        longer than the device takes
 *     nic-no-descriptor   the device had no receive descriptor left
 *     fill-ring-empty     the application had posted no frame
 *     receive-ring-full   the application did not take packets in time
 *     invalid-descriptor  the application posted a descriptor that names no valid frame
 *     too-long            does not fit a frame or ring slot
 *     xdp-verdict         an XDP program dropped it
 *     rule                a rule of the socket says so (`to: 'drop'`); by a device's flow director also `rx_rule_drops` of the device
 *     transmit-error      the device could not send it
 */
export const DROP_PLACES = [
  'wire',
  'nic-oversize',
  'nic-no-descriptor',
  'fill-ring-empty',
  'receive-ring-full',
  'invalid-descriptor',
  'too-long',
  'xdp-verdict',
  'rule',
  'transmit-error',
] as const;

/** One of {@link DROP_PLACES}, which says what each is. */
export type DropPlace = (typeof DROP_PLACES)[number];

/** The kernel's counts for one socket. */
export interface KernelStatistics {
  /** In frames: a packet of several counts as often. On Linux the indices of AF_XDP's rings are all that tells. */
  readonly received: number;
  /** In frames: those that the kernel has handed on to the device. */
  readonly sent: number;
  /** System calls that kicks and blocking waits of this socket have made (F1); absent where there are none to make. */
  readonly systemCalls?: number;
  /** In packets; `invalid-descriptor` in descriptors. */
  readonly drops: Readonly<Partial<Record<DropPlace, number>>>;
}
