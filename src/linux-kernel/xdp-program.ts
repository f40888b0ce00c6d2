import { PacketError } from '../errors.js';
import {
  BPF_F_XDP_HAS_FRAGS,
  BPF_FUNC_redirect_map,
  BPF_LINK_CREATE,
  BPF_MAP_CREATE,
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_TYPE_XSKMAP,
  BPF_MAP_UPDATE_ELEM,
  BPF_PROG_LOAD,
  BPF_PROG_TYPE_XDP,
  BPF_PSEUDO_MAP_FD,
  BPF_XDP,
  EBUSY,
  EEXIST,
  EINVAL,
  ENODEV,
  ENOSPC,
  ENOTSUPP,
  EOPNOTSUPP,
  ERANGE,
  XDP_FLAGS_DRV_MODE,
  XDP_FLAGS_SKB_MODE,
  XDP_PASS,
} from './constants.js';
import type { LinuxInterface } from './interfaces.js';
import { Struct } from './struct.js';
import { type Meanings, systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

/** Where the program runs: in the driver (native), or in the stack after the driver has made a socket buffer (generic). */
export type AttachMode = 'native' | 'generic';

/** The kernel compares this with its list of licences; the helpers used here ask for none in particular. */
const LICENCE = 'Dual MIT/GPL\0';
const CAPABILITIES = 'CAP_BPF and CAP_NET_ADMIN';

/**
 * The XDP program that feeds the sockets of one interface, its map from queue to socket, and the BPF link that attaches it.
 * Packets of queues without a socket go to the ordinary stack. The kernel detaches all of it when the link's descriptor is
 * closed, also by the end of the process.
 */
export class XdpProgram {
  readonly attachMode: AttachMode;
  /** Whether it takes packets of several fragments (F9). */
  readonly segments: boolean;
  readonly #calls: SystemCalls;
  readonly #map: number;
  readonly #link: number;
  #users = 1;

  private constructor(calls: SystemCalls, attachMode: AttachMode, segments: boolean, map: number, link: number) {
    this.#calls = calls;
    this.attachMode = attachMode;
    this.segments = segments;
    this.#map = map;
    this.#link = link;
  }

  /**
   * Loads and attaches the program. Whatever was made before a failure is closed again.
   *
   * @throws PacketError NO_PRIVILEGE, MODE_UNSUPPORTED, QUEUE_BUSY (another program is attached), NO_INTERFACE, SYSTEM_CALL
   */
  static attach(calls: SystemCalls, device: LinuxInterface, attachMode: AttachMode, segments: boolean): XdpProgram {
    const map = createSocketMap(calls, device.queues);
    let program = -1;
    try {
      program = loadProgram(calls, map, segments);
      return new XdpProgram(calls, attachMode, segments, map, createLink(calls, program, device, attachMode));
    } catch (error) {
      calls.close(map);
      throw error;
    } finally {
      if (program >= 0) calls.close(program); // the link holds it
    }
  }

  /** Sends the packets of a queue to a bound socket. The kernel takes the entry out when the socket is closed. */
  connect(queue: number, socket: number): void {
    const result = this.#calls.bpf(BPF_MAP_UPDATE_ELEM, this.#element(queue, socket));
    if (result < 0)
      throw systemCallError('bpf BPF_MAP_UPDATE_ELEM', -result, `send queue ${queue} to the socket`, {}, CAPABILITIES);
  }

  /** Sends the packets of a queue to the stack again. */
  disconnect(queue: number): void {
    const result = this.#calls.bpf(BPF_MAP_DELETE_ELEM, this.#element(queue));
    if (result < 0)
      throw systemCallError('bpf BPF_MAP_DELETE_ELEM', -result, `send queue ${queue} to the stack`, {}, CAPABILITIES);
  }

  /** @param socket undefined for a deletion, where the kernel wants the field to be zero */
  #element(queue: number, socket?: number): Struct {
    const key = new Struct(4).u32(0, queue);
    const element = new Struct(32).u32(0, this.#map).pointer(8, key, this.#calls.address(key));
    if (socket === undefined) return element;
    const value = new Struct(4).i32(0, socket);
    return element.pointer(16, value, this.#calls.address(value));
  }

  /** One more socket feeds on this program. */
  share(): this {
    this.#users++;
    return this;
  }

  /** One socket fewer. @returns whether that was the last one, and the program is detached */
  release(): boolean {
    if (--this.#users > 0) return false;
    this.#calls.close(this.#link);
    this.#calls.close(this.#map);
    return true;
  }
}

/** The programs that this kernel has attached, by interface index; sockets of one interface share one. */
export class XdpPrograms {
  readonly #calls: SystemCalls;
  readonly #attached = new Map<number, XdpProgram>();

  constructor(calls: SystemCalls) {
    this.#calls = calls;
  }

  /** The interface's program, attached if need be. Every `acquire` wants one `release`. */
  acquire(device: LinuxInterface, attachMode: AttachMode, segments: boolean): XdpProgram {
    const present = this.#attached.get(device.index);
    if (present === undefined) {
      const program = XdpProgram.attach(this.#calls, device, attachMode, segments);
      this.#attached.set(device.index, program);
      return program;
    }
    if (present.attachMode !== attachMode) {
      throw new PacketError(
        'MODE_UNSUPPORTED',
        `${device.name} runs its XDP program in ${present.attachMode} mode for other sockets, and cannot in ${attachMode} mode, too`,
        { remedy: 'open all sockets of the interface in the same kind of mode' },
      );
    }
    if (segments && !present.segments) {
      throw new PacketError(
        'MODE_UNSUPPORTED',
        `${device.name} runs an XDP program for other sockets that takes no packets of several frames`,
        {
          remedy: 'open the socket that asks for segments first, or all sockets of the interface with segments',
        },
      );
    }
    return present.share();
  }

  release(device: LinuxInterface, program: XdpProgram): void {
    if (program.release() && this.#attached.get(device.index) === program) this.#attached.delete(device.index);
  }
}

function createSocketMap(calls: SystemCalls, queues: number): number {
  const attributes = new Struct(72)
    .u32(0, BPF_MAP_TYPE_XSKMAP)
    .u32(4, 4)
    .u32(8, 4)
    .u32(12, queues)
    .text(28, 'tp4_sockets');
  const map = calls.bpf(BPF_MAP_CREATE, attributes);
  if (map < 0) throw systemCallError('bpf BPF_MAP_CREATE', -map, 'make a map of sockets', {}, CAPABILITIES);
  return map;
}

/** return bpf_redirect_map(sockets, context->rx_queue_index, XDP_PASS), in eBPF. The last argument is what an empty entry gives. */
function loadProgram(calls: SystemCalls, map: number, segments: boolean): number {
  const instructions = new Struct(6 * 8);
  const put = (
    at: number,
    code: number,
    destination: number,
    source: number,
    offset: number,
    immediate: number,
  ): void => {
    instructions
      .u16(at * 8, code | (destination << 8) | (source << 12))
      .u16(at * 8 + 2, offset)
      .i32(at * 8 + 4, immediate);
  };
  put(0, 0x61, 2, 1, 16, 0); // r2 = *(u32 *)(r1 + 16): xdp_md.rx_queue_index
  put(1, 0x18, 1, BPF_PSEUDO_MAP_FD, 0, map); // r1 = the map, a 64-bit load in two instructions
  put(2, 0, 0, 0, 0, 0);
  put(3, 0xb7, 3, 0, 0, XDP_PASS); // r3 = XDP_PASS
  put(4, 0x85, 0, 0, 0, BPF_FUNC_redirect_map); // r0 = call
  put(5, 0x95, 0, 0, 0, 0); // return r0
  const licence = new Struct(16).text(0, LICENCE);
  const log = new Struct(4096);
  const attributes = new Struct(148)
    .u32(0, BPF_PROG_TYPE_XDP)
    .u32(4, instructions.length / 8)
    .pointer(8, instructions, calls.address(instructions))
    .pointer(16, licence, calls.address(licence))
    .u32(24, 1)
    .u32(28, log.length)
    .pointer(32, log, calls.address(log))
    .u32(44, segments ? BPF_F_XDP_HAS_FRAGS : 0)
    .text(48, 'tp4_redirect');
  const program = calls.bpf(BPF_PROG_LOAD, attributes);
  if (program >= 0) return program;
  const verdict = log.readText(0, log.length).trim();
  const what = verdict === '' ? 'load the XDP program' : `load the XDP program (the verifier says: ${verdict})`;
  throw systemCallError('bpf BPF_PROG_LOAD', -program, what, {}, CAPABILITIES);
}

function createLink(calls: SystemCalls, program: number, device: LinuxInterface, attachMode: AttachMode): number {
  const flags = attachMode === 'native' ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  const attributes = new Struct(48).u32(0, program).u32(4, device.index).u32(8, BPF_XDP).u32(12, flags);
  const link = calls.bpf(BPF_LINK_CREATE, attributes);
  if (link >= 0) return link;
  const what = `attach an XDP program to ${device.name} in ${attachMode} mode`;
  throw systemCallError('bpf BPF_LINK_CREATE', -link, what, linkMeanings(device, attachMode), CAPABILITIES);
}

/** What the kernel and its drivers mean by refusing a link; they say more only in the kernel's trace. */
function linkMeanings(device: LinuxInterface, attachMode: AttachMode): Meanings {
  const { name } = device;
  const taken = {
    code: 'QUEUE_BUSY',
    why: 'another XDP program is attached to it',
    remedy: `\`bpftool net show dev ${name}\` shows whose it is; \`ip link set dev ${name} xdp off\` removes one without a link`,
  } as const;
  const unsupported = {
    code: 'MODE_UNSUPPORTED',
    why: `the driver ${device.driver || 'of this interface'} runs no XDP programs itself`,
    remedy: "use mode 'xdp-generic', which works on every driver",
  } as const;
  const mtu = {
    code: 'MODE_UNSUPPORTED',
    why: `the driver runs no XDP program at an MTU of ${device.mtu} (or its peer's)`,
    remedy: `lower it (\`ip link set dev ${name} mtu 1500\`, on both ends of a veth pair), or use mode 'xdp-generic'`,
  } as const;
  const queues = {
    code: 'MODE_UNSUPPORTED',
    why: 'it has fewer receive queues than its peer has transmit queues, or none left for XDP',
    remedy: `change the number of queues (\`ethtool -L ${name}\`), or use mode 'xdp-generic'`,
  } as const;
  return {
    [EBUSY]: taken,
    [EEXIST]: taken,
    [ENODEV]: { code: 'NO_INTERFACE', why: 'the interface is gone' },
    ...(attachMode === 'native'
      ? { [EOPNOTSUPP]: unsupported, [ENOTSUPP]: unsupported, [ERANGE]: mtu, [EINVAL]: mtu, [ENOSPC]: queues }
      : {}),
  };
}
