import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import type {
  Binding,
  BusyPoll,
  BusyPollRequest,
  Fanout,
  InterfaceInfo,
  Kernel,
  KernelSocket,
  Mode,
  PacketVersion,
  RingRequest,
  SocketMaps,
  TransmitMetadata,
} from '../kernel/contract.js';
import { checkLink } from '../kernel/foreign-link.js';
import { checkBoolean, checkChoice, checkOptionNames } from '../options.js';
import { PacketBuffer, type PacketBufferOptions } from '../packet-buffer/packet-buffer.js';
import { OwnershipChecker, type OwnershipViolation } from '../ring/ownership-checker.js';
import type { SocketRings } from '../ring/socket-rings.js';
import { V2Rings } from '../ring/v2/user.js';
import { V3Rings } from '../ring/v3/user.js';
import { V4Rings } from '../ring/v4/user.js';
import { XdpRings } from '../ring/xdp/user.js';
import { checkReceive } from '../steering/compile-rules.js';
import { refuseRedirected } from '../steering/redirected.js';
import type { Receive } from '../steering/rules.js';
import { PacketSocket, type RefusedMode } from './packet-socket.js';
import { trafficOptions } from './traffic-options.js';

/** What a program asks for. */
export interface OpenSocketOptions {
  /** The kernel whose interface it is; stays open when the socket is closed. */
  readonly kernel: Kernel;
  /** Name of the interface, as `kernel.interfaces()` gives it. */
  readonly interface: string;
  /** What the socket receives. There is no default: say `'all'`, `'none'` (a sender) or give rules. */
  readonly receive: Receive;
  /** Queue pair to bind to; default all of them in copy modes, the only one in zero-copy. */
  readonly queue?: number;
  /**
   * A mode, modes in order of preference, or `'best'` (default): the ladder of the interface, best first. V4 only by request.
   */
  readonly mode?: Mode | 'best' | readonly Mode[];
  /** Demands that the ordinary stack does (`false`) or does not (`true`) see the packets; rungs that differ are refused. */
  readonly exclusive?: boolean;
  /** Told for each rung that was refused, before the socket is used. Throw to give up. */
  readonly onDowngrade?: (refused: RefusedMode) => void;
  /**
   * The packet buffer to use, perhaps with other sockets (F6); or how to make one of its own (S6), which is closed with the socket. A V4 or AF_XDP socket that receives takes
   * up to `ring` of its frames at once.
   */
  readonly buffer?: PacketBuffer | PacketBufferOptions;
  /** Descriptors (V2: frames) of each ring, a power of two from 8 to 65536; default 1024. */
  readonly ring?: number;
  /**
   * V3: bytes of a block, a power of two. As many blocks as hold `ring` frames. By default there are 16 of 64 KiB, or 128 KiB from 1024 frames on: blocks are handed
   * over after `retireMilliseconds` however little is in them, so that a program may pause for 16 of those.
   */
  readonly blockSize?: number;
  /** V3: milliseconds after which a block that is not full is handed over; default 1. */
  readonly retireMilliseconds?: number;
  /** V2, V3: bytes of a ring frame, a power of two; default the buffer's frame size. */
  readonly ringFrameSize?: number;
  /** Keep sent frames for `completions` (I9); default false: they return to the pool by themselves. */
  readonly outcomes?: boolean;
  /** Accept packets that span several frames (F9); default false. */
  readonly segments?: boolean;
  /**
   * Linux: take all packets (`receive: 'all'`, in a mode that keeps them from the stack) even where an ssh session comes over the
   * interface, which that cuts off; default false: refused with GUARDED_INTERFACE.
   */
  readonly allowCutoff?: boolean;
  /**
   * AF_XDP, and V4 in zero-copy: rules become entries of the device's flow director (n-tuple entries; on Linux of hardware that has them). Packets that
   * they pick come to the socket's queue from all others, and `to: { queue }` works. Default false: a socket receives what comes to
   * its queue; in zero-copy on the soft kernel, whose NIC always has one, that is what its entries send there. Refuses devices
   * without (RULES_UNSUPPORTED).
   */
  readonly flowDirector?: boolean;
  /**
   * AF_XDP; Linux from 6.8, and the soft kernel: has the kernel (on Linux in zero-copy mode the device) fill in checksums of sent
   * packets, each asked for by `socket.requestChecksum`. Default false; refuses modes that cannot.
   */
  readonly transmitChecksums?: boolean;
  /**
   * AF_XDP (Linux from 6.8): tells when packets were sent, each asked for by `socket.requestTimestamp`, in the `seconds` and `nanoseconds`
   * of `completions` (so `outcomes` must be set). Whose clock that is says `socket.transmitTimestamps`. Default false; refuses modes that
   * cannot.
   */
  readonly transmitTimestamps?: boolean;
  /**
   * AF_XDP (soft kernel; Linux from 6.14 on devices with launch times: igc, stmmac): packets leave at the time that
   * `socket.requestLaunchTime` says.
   * Default false; refuses devices that cannot.
   */
  readonly launchTimes?: boolean;
  /**
   * Linux, AF_XDP: has the kernel poll the device in this socket's kicks and waits (Q7). Refuses modes that cannot; what was
   * granted is `socket.busyPoll`.
   */
  readonly busyPoll?: BusyPollRequest;
  /**
   * Linux: the interface takes packets for other addresses than its own, too, while the socket is open; default true when anything is
   * received. The soft kernel's interfaces always do.
   */
  readonly promiscuous?: boolean;
  /** V2, V3 on Linux: share the interface's packets with the other sockets of a group; default none. Other modes refuse it. */
  readonly fanout?: Fanout;
  /**
   * V2, V3 on Linux: sent packets go to the driver at once, past the interface's queueing discipline and local taps such as tcpdump;
   * default true. In other modes, and on the soft kernel, they always do.
   */
  readonly bypassQueueing?: boolean;
  /** V2, V3 on Linux: do not receive what this machine sends through the interface; default true. Elsewhere it never is received. */
  readonly ignoreOutgoing?: boolean;
  /**
   * Debugging: checks whose each frame is, and collects what the program does wrong in `socket.ownership.violations`, or calls a
   * function with each violation. All sockets of a packet buffer should be checked. Slow; default false.
   */
  readonly checkOwnership?: boolean | ((violation: OwnershipViolation) => void);
}

/** The ladder, best first (brief). V4 is asked for by name. */
export const LADDER: readonly Mode[] = ['xdp-zc', 'xdp-copy', 'xdp-generic', 'v3', 'v2'];

const VERSIONS: Readonly<Record<Mode, PacketVersion>> = {
  'xdp-zc': 'xdp',
  'xdp-copy': 'xdp',
  'xdp-generic': 'xdp',
  'v4-zc': 'v4',
  v4: 'v4',
  v3: 'v3',
  v2: 'v2',
};

const MODES = Object.keys(VERSIONS) as Mode[];

/** Whether a mode keeps packets from the ordinary stack. */
export function isExclusive(mode: Mode): boolean {
  return mode !== 'v4' && mode !== 'v3' && mode !== 'v2';
}

const DEFAULT_RING = 1024;
/** Blocks of a V3 ring: four that are handed over after 1 ms each lose packets of a trickle when the program pauses for 5 ms. */
const DEFAULT_BLOCKS = 16;
/** Blocks by default: long packets fit. */
const DEFAULT_BLOCK_BYTES = { least: 64 * 1024, most: 128 * 1024 };
const DEFAULT_RETIRE_MILLISECONDS = 1;

/**
 * Opens a packet socket: climbs down the modes asked for, takes the first that the interface supports, and says on
 * `socket.mode` what it got and why each better one was refused: zero-copy where it can be, copies elsewhere, in one program (S4, Q3).
 *
 * @param onClose called when the socket has been closed, for what it alone has used
 * @throws PacketError MODE_REFUSED when no mode will do (its message lists the reasons), NO_INTERFACE, INVALID_OPTION,
 *   NO_FRAMES when the buffer has no frame left for a receiver (V4, AF_XDP), ...
 */
export async function openSocket(options: OpenSocketOptions, onClose?: () => Promise<void>): Promise<PacketSocket> {
  checkOptions(options);
  const { kernel } = options;
  checkReceive(options.receive, 'receive');
  const info = await findInterface(kernel, options.interface);
  const refused: RefusedMode[] = [];
  const modes = wantedModes(options);
  const { buffer, owns } = makeBuffer(options, kernel);
  try {
    for (const mode of modes) {
      try {
        const problem = objection(mode, info, options);
        if (problem !== undefined) throw problem;
        return await openInMode(mode, options, buffer, owns, refused, onClose);
      } catch (error) {
        if (!(error instanceof PacketError) || FATAL.has(error.code)) throw error;
        const reason = { mode, code: error.code, why: error.message, remedy: error.remedy };
        refused.push(reason);
        if (modes.length === 1) throw error;
        options.onDowngrade?.(reason);
      }
    }
  } catch (error) {
    if (owns) buffer.close();
    throw error;
  }
  if (owns) buffer.close();
  const reasons = refused.map(({ mode, why }) => `${mode}: ${why}`).join('; ');
  throw new PacketError('MODE_REFUSED', `no mode works on ${options.interface}: ${reasons}`, {
    remedy: refused[0]!.remedy,
  });
}

/** Problems that no other mode would cure. */
const FATAL: ReadonlySet<string> = new Set([
  'INVALID_OPTION',
  'ARENA_EXHAUSTED',
  'NO_FRAMES',
  'NO_INTERFACE',
  'NOT_ETHERNET',
  'WRONG_STATE',
]);

/** Every option there is: the type sees to it that none is missing. */
const OPTIONS: Readonly<Record<keyof OpenSocketOptions, true>> = {
  kernel: true,
  interface: true,
  receive: true,
  queue: true,
  mode: true,
  exclusive: true,
  onDowngrade: true,
  buffer: true,
  ring: true,
  blockSize: true,
  retireMilliseconds: true,
  ringFrameSize: true,
  outcomes: true,
  segments: true,
  allowCutoff: true,
  flowDirector: true,
  transmitChecksums: true,
  transmitTimestamps: true,
  launchTimes: true,
  busyPoll: true,
  promiscuous: true,
  bypassQueueing: true,
  ignoreOutgoing: true,
  fanout: true,
  checkOwnership: true,
};

function checkOptions(options: OpenSocketOptions): void {
  checkOptionNames('openSocket', options, Object.keys(OPTIONS));
  const { kernel, onDowngrade, buffer } = options;
  const switches = ['exclusive', 'outcomes', 'segments', 'promiscuous', 'bypassQueueing', 'ignoreOutgoing'] as const;
  const requests = ['transmitChecksums', 'transmitTimestamps', 'launchTimes'] as const;
  for (const name of [...switches, ...requests, 'allowCutoff', 'flowDirector'] as const)
    checkBoolean(name, options[name]);
  if (options.transmitTimestamps && !options.outcomes) {
    throw new PacketError(
      'INVALID_OPTION',
      'transmitTimestamps: only `completions` tells them, and outcomes is not set',
      {
        remedy: 'outcomes: true',
      },
    );
  }
  if (typeof kernel?.socket !== 'function') {
    throw new PacketError('INVALID_OPTION', `kernel: ${String(kernel)} is not a kernel`, {
      remedy: 'make one with new SoftKernel(), or leave the option out for the Linux kernel',
    });
  }
  if (onDowngrade !== undefined && typeof onDowngrade !== 'function') {
    throw new PacketError('INVALID_OPTION', `onDowngrade: ${String(onDowngrade)} is not a function`, {
      remedy: 'for example onDowngrade: (refused) => console.warn(refused.why)',
    });
  }
  if (buffer !== undefined && (typeof buffer !== 'object' || buffer === null)) {
    throw new PacketError('INVALID_OPTION', `buffer: ${String(buffer)} is neither a PacketBuffer nor options for one`, {
      remedy: 'for example buffer: { frames: 8192 }',
    });
  }
}

/** @throws PacketError NO_INTERFACE, NOT_ETHERNET */
export async function findInterface(kernel: Kernel, name: string): Promise<InterfaceInfo> {
  const all = await kernel.interfaces();
  const found = all.find((candidate) => candidate.name === name);
  if (found !== undefined) {
    checkLink(found);
    return found;
  }
  throw new PacketError('NO_INTERFACE', `there is no interface ${name} on the ${kernel.name} kernel`, {
    remedy: all.length === 0 ? 'it has none' : `it has ${all.map((one) => one.name).join(', ')}`,
  });
}

function wantedModes({ mode = 'best' }: OpenSocketOptions): readonly Mode[] {
  if (mode === 'best') return LADDER;
  if (typeof mode === 'string') return [checkChoice('mode', mode, ['best', ...MODES]) as Mode];
  if (!Array.isArray(mode) || mode.length === 0) {
    throw new PacketError('INVALID_OPTION', `mode: ${JSON.stringify(mode)} is neither a mode nor a list of some`, {
      remedy: `use 'best', or modes of ${MODES.join(', ')}`,
    });
  }
  return mode.map((one) => checkChoice('mode', one, MODES));
}

function objection(
  mode: Mode,
  info: InterfaceInfo,
  { exclusive, receive }: OpenSocketOptions,
): PacketError | undefined {
  if (!info.modes.includes(mode)) {
    const code = mode.endsWith('-zc') && info.zeroCopy === false ? 'NO_DRIVER_ZEROCOPY' : 'MODE_UNSUPPORTED';
    return new PacketError(code, `${info.name} (driver ${info.driver}) does not support ${mode}`, {
      remedy: `modes there: ${info.modes.join(', ')}`,
    });
  }
  if (VERSIONS[mode] !== 'xdp' && mode !== 'v4-zc') refuseRedirected(receive, `a socket in mode ${mode}`);
  if (exclusive === undefined || exclusive === isExclusive(mode)) return undefined;
  const what = exclusive
    ? 'the ordinary stack would see the packets, too'
    : 'the ordinary stack would not see the packets';
  return new PacketError('MODE_REFUSED', `in mode ${mode} ${what}`, { remedy: 'drop the demand on `exclusive`' });
}

function makeBuffer({ buffer }: OpenSocketOptions, kernel: Kernel): { buffer: PacketBuffer; owns: boolean } {
  if (buffer instanceof PacketBuffer) {
    if (buffer.arena.memory !== kernel.arena.memory) {
      throw new PacketError('INVALID_OPTION', 'buffer: it lies in another arena than the kernel works in', {
        remedy: 'make it with PacketBuffer.create({ arena: kernel.arena })',
      });
    }
    return { buffer, owns: false };
  }
  return { buffer: PacketBuffer.create({ arena: kernel.arena, ...buffer }), owns: true };
}

function noFrames({ frames, sendFrames }: PacketBuffer): PacketError {
  return new PacketError(
    'NO_FRAMES',
    `the packet buffer has none of its ${frames - sendFrames} frames for receiving left: this socket would receive nothing`,
    {
      remedy:
        'make the buffer with more frames (every socket on it takes as many as its ring has), use smaller rings, ' +
        "or open with receive: 'none'",
    },
  );
}

async function openInMode(
  mode: Mode,
  options: OpenSocketOptions,
  buffer: PacketBuffer,
  ownsBuffer: boolean,
  refused: readonly RefusedMode[],
  onClose: (() => Promise<void>) | undefined,
): Promise<PacketSocket> {
  const { kernel } = options;
  const version = VERSIONS[mode];
  const request = ringRequest(version, options, buffer);
  buffer.retain(); // refuses a closed one, before there is anything to undo
  const kernelSocket = await kernel.socket(version).catch((error: unknown) => {
    buffer.drop();
    throw error;
  });
  let rings: SocketRings | undefined;
  try {
    if (version === 'v4' || version === 'xdp') {
      const { base, frames, frameSize, headroom } = buffer;
      await kernelSocket.registerMemory({ base, frames, frameSize, headroom });
    }
    await startTransmitMetadata(kernelSocket, mode, options);
    await kernelSocket.createRings(request);
    const busyPoll = await startBusyPoll(kernelSocket, mode, options);
    const maps = await kernelSocket.map();
    rings = makeRings(version, maps, kernelSocket, buffer, options, request);
    // The ring is filled before the driver sees it: some never look again at one that was empty (reference, trait 1).
    rings.replenish();
    const binding = await kernelSocket.bind({
      interface: options.interface,
      ...(options.queue !== undefined && { queue: checkInteger('queue', options.queue, 0, 65535) }),
      mode,
      receive: options.receive,
      segments: options.segments ?? false,
      ...(options.allowCutoff !== undefined && { allowCutoff: options.allowCutoff }),
      ...(options.flowDirector !== undefined && { flowDirector: options.flowDirector }),
      ...trafficOptions(options),
    });
    checkBinding(mode, binding);
    // Not before: a rung that is refused anyway, perhaps while others are opening sockets, needs no frames.
    if (!rings.replenish()) throw noFrames(buffer);
    rings.largestPacket = binding.largestPacket;
    return new PacketSocket({
      kernel,
      interface: options.interface,
      refused,
      binding,
      busyPoll,
      kernelSocket,
      rings: checked(rings, maps, version, buffer, options),
      buffer,
      ownsBuffer,
      metadata: transmitMetadata(options),
      onClose,
    });
  } catch (error) {
    await kernelSocket.unbind();
    rings?.close();
    await kernelSocket.close();
    buffer.drop();
    throw error;
  }
}

function transmitMetadata(options: OpenSocketOptions): TransmitMetadata {
  const { transmitChecksums = false, transmitTimestamps = false, launchTimes = false } = options;
  return { checksums: transmitChecksums, timestamps: transmitTimestamps, launchTimes };
}

async function startTransmitMetadata(
  kernelSocket: KernelSocket,
  mode: Mode,
  options: OpenSocketOptions,
): Promise<void> {
  const wanted = transmitMetadata(options);
  const refusals = [
    ['transmitChecksums', wanted.checksums, 'fills in no checksums', 'compute them in the program'],
    ['transmitTimestamps', wanted.timestamps, 'does not tell when packets were sent', 'take the time of `send`'],
    ['launchTimes', wanted.launchTimes, 'has no launch times', 'send each packet when its time has come'],
  ] as const;
  const asked = refusals.find(([, wish]) => wish);
  if (asked === undefined) return;
  if (kernelSocket.transmitMetadata !== undefined) return kernelSocket.transmitMetadata(wanted);
  const [option, , lack, instead] = asked;
  throw new PacketError('MODE_UNSUPPORTED', `${option}: the ${options.kernel.name} kernel ${lack} in mode ${mode}`, {
    remedy: `${instead}, and leave the option out`,
  });
}

async function startBusyPoll(
  kernelSocket: KernelSocket,
  mode: Mode,
  { kernel, busyPoll }: OpenSocketOptions,
): Promise<BusyPoll | undefined> {
  if (busyPoll === undefined) return undefined;
  if (kernelSocket.busyPoll !== undefined) return kernelSocket.busyPoll(busyPoll);
  throw new PacketError('MODE_UNSUPPORTED', `busyPoll: the ${kernel.name} kernel has no such option in mode ${mode}`, {
    remedy: 'leave it out, and wait with the strategy busy or hybrid',
  });
}

/** Puts the ownership checker around the rings where it is asked for. */
function checked(
  rings: SocketRings,
  maps: SocketMaps,
  version: PacketVersion,
  buffer: PacketBuffer,
  options: OpenSocketOptions,
): SocketRings {
  const { checkOwnership = false, queue } = options;
  if (checkOwnership === false) return rings;
  if (checkOwnership !== true && typeof checkOwnership !== 'function') {
    throw new PacketError(
      'INVALID_OPTION',
      `checkOwnership: ${String(checkOwnership)} is not true, false or a function`,
      { remedy: 'true collects violations in socket.ownership, a function is told of each' },
    );
  }
  const socket = `${options.interface}${queue === undefined ? '' : ` queue ${queue}`} (${version})`;
  const report = typeof checkOwnership === 'function' ? { report: checkOwnership } : {};
  return new OwnershipChecker(rings, { version, buffer, maps, socket, ...report });
}

function checkBinding(mode: Mode, binding: Binding): void {
  if (binding.mode === mode) return;
  throw new PacketError('MODE_UNSUPPORTED', `asked for ${mode}, the kernel gave ${binding.mode}`, {
    remedy: `ask for ${binding.mode}`,
  });
}

function ringRequest(version: PacketVersion, options: OpenSocketOptions, buffer: PacketBuffer): RingRequest {
  const ring = checkPowerOfTwo('ring', options.ring ?? DEFAULT_RING, 8, 65536);
  const { retireMilliseconds = DEFAULT_RETIRE_MILLISECONDS } = options;
  checkInteger('retireMilliseconds', retireMilliseconds, 1, 60000);
  const receives = options.receive !== 'none';
  if (version === 'v4' || version === 'xdp') {
    const receive = receives ? ring : 0;
    return { receive, transmit: ring, fill: receive, completion: ring };
  }
  const frameSize = checkPowerOfTwo('ringFrameSize', options.ringFrameSize ?? buffer.frameSize, 256, 65536);
  const { headroom } = buffer;
  if (version === 'v2')
    return { receive: receives ? ring : 0, transmit: ring, frameSize, blockSize: Math.max(4096, frameSize), headroom };
  const { least, most } = DEFAULT_BLOCK_BYTES;
  const defaultBlockSize = Math.min(Math.max((ring * frameSize) / DEFAULT_BLOCKS, least), most);
  const blockSize = checkPowerOfTwo('blockSize', options.blockSize ?? defaultBlockSize, 4096, 2 ** 26);
  const leastBlocks = options.blockSize === undefined ? DEFAULT_BLOCKS : 4;
  if (frameSize > blockSize) {
    throw new PacketError('INVALID_OPTION', `ringFrameSize: ${frameSize} is more than blockSize ${blockSize}`, {
      remedy: 'use larger blocks or smaller frames',
    });
  }
  return {
    receive: receives ? Math.max(leastBlocks, Math.ceil((ring * frameSize) / blockSize)) : 0,
    transmit: ring,
    frameSize,
    blockSize,
    headroom,
    retireMilliseconds,
  };
}

function makeRings(
  version: PacketVersion,
  maps: SocketMaps,
  kicker: KernelSocket,
  buffer: PacketBuffer,
  options: OpenSocketOptions,
  request: RingRequest,
): SocketRings {
  const parts = { maps, kicker, buffer, outcomes: options.outcomes ?? false };
  switch (version) {
    case 'v4':
      return new V4Rings(parts);
    case 'xdp':
      return new XdpRings({ ...parts, transmitMetadata: Object.values(transmitMetadata(options)).includes(true) });
    case 'v3':
      return new V3Rings({ ...parts, request });
    case 'v2':
      return new V2Rings({ ...parts, request });
  }
}
