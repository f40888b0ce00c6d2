import { PacketError } from '../errors.js';
import { codeForQueues, type QueueRules } from '../steering/programs/rule-code.js';
import { xdpProgram, xdpRedirect } from '../steering/programs/xdp-program.js';
import type { ParsedRule } from '../steering/rules.js';
import {
  BPF_LINK_CREATE,
  BPF_LINK_UPDATE,
  BPF_MAP_CREATE,
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_TYPE_XSKMAP,
  BPF_MAP_UPDATE_ELEM,
  BPF_XDP,
  EBUSY,
  EEXIST,
  EINVAL,
  ENODEV,
  ENOLINK,
  ENOSPC,
  ENOTSUPP,
  EOPNOTSUPP,
  ERANGE,
  XDP_FLAGS_DRV_MODE,
  XDP_FLAGS_SKB_MODE,
} from './constants.js';
import type { LinuxInterface } from './interfaces.js';
import { GONE_REMEDY } from './interfaces.js';
import { LinkResets } from './link-resets.js';
import { programInTheWay } from './occupants.js';
import { Struct } from './struct.js';
import { type Meanings, systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';
import { CAPABILITIES, loadXdpProgram } from './xdp-loading.js';

/** Where the program runs: in the driver (native), or in the stack after the driver has made a socket buffer (generic). */
export type AttachMode = 'native' | 'generic';

/** What the socket of a queue receives: all packets, or those that match a rule. */
export type QueueReceive = 'all' | readonly ParsedRule[];

/**
 * The XDP program that feeds the sockets of one interface, its map from queue to socket, and the BPF link that attaches it.
 * Packets of queues without a socket go to the ordinary stack, and so do those that match none of their queue's rules. The kernel
 * detaches all of it when the link's descriptor is closed, also by the end of the process.
 *
 * The rules of all queues are compiled into the program. Other rules are another program, which takes the place of this one in the
 * link at once (BPF_LINK_UPDATE): each packet meets either the one or the other.
 */
export class XdpProgram {
  readonly attachMode: AttachMode;
  /** Whether it takes packets of several fragments (F9). */
  readonly segments: boolean;
  readonly #calls: SystemCalls;
  readonly #map: number;
  readonly #link: number;
  /** The queues with a socket. */
  readonly #queues = new Map<number, QueueReceive>();
  /** The queues with rules in the program that is attached, and these rules by name. Queues that are gone stay in it: their entry is empty. */
  #compiled: ReadonlyMap<number, string> = new Map();
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
   * @throws PacketError NO_PRIVILEGE, MODE_UNSUPPORTED, INTERFACE_BUSY (another program is attached), NO_INTERFACE, SYSTEM_CALL
   */
  static attach(calls: SystemCalls, device: LinuxInterface, attachMode: AttachMode, segments: boolean): XdpProgram {
    const map = createSocketMap(calls, device.queues);
    let program = -1;
    try {
      program = loadXdpProgram(calls, xdpProgram(codeForQueues([]), xdpRedirect(map)), segments);
      return new XdpProgram(calls, attachMode, segments, map, createLink(calls, program, device, attachMode));
    } catch (error) {
      calls.close(map);
      throw error;
    } finally {
      if (program >= 0) calls.close(program); // the link holds it
    }
  }

  /**
   * Sends packets of a queue to a bound socket, from now on those and no others. The rules come first: no packet that they leave to
   * the stack goes to the socket. When it fails, everything is as it was. The kernel takes the map's entry out when the socket is closed.
   *
   * @throws PacketError FLOW_TABLE_FULL (too many rules), NO_INTERFACE, NO_PRIVILEGE, SYSTEM_CALL
   */
  connect(queue: number, socket: number, receive: QueueReceive): void {
    const before = this.#queues.get(queue);
    this.#queues.set(queue, receive);
    try {
      if ((this.#compiled.get(queue) ?? 'all') !== nameOf(receive)) this.#compile();
      if (before !== undefined) return;
      const result = this.#calls.bpf(BPF_MAP_UPDATE_ELEM, this.#element(queue, socket));
      if (result < 0)
        throw systemCallError(
          'bpf BPF_MAP_UPDATE_ELEM',
          -result,
          `send queue ${queue} to the socket`,
          {},
          CAPABILITIES,
        );
    } catch (error) {
      if (before === undefined) this.#queues.delete(queue);
      else this.#queues.set(queue, before);
      throw error;
    }
  }

  /** Sends the packets of a queue to the stack again. Idempotent. */
  disconnect(queue: number): void {
    if (!this.#queues.delete(queue)) return;
    const result = this.#calls.bpf(BPF_MAP_DELETE_ELEM, this.#element(queue));
    if (result < 0)
      throw systemCallError('bpf BPF_MAP_DELETE_ELEM', -result, `send queue ${queue} to the stack`, {}, CAPABILITIES);
  }

  /** Puts a program with the rules of all queues in the place of the one that is attached. */
  #compile(): void {
    const lists = new Map<string, { queues: number[]; rules: readonly ParsedRule[] }>();
    const compiled = new Map<number, string>();
    for (const [queue, receive] of this.#queues) {
      if (receive === 'all') continue;
      const name = nameOf(receive);
      compiled.set(queue, name);
      const list = lists.get(name);
      if (list === undefined) lists.set(name, { queues: [queue], rules: receive });
      else list.queues.push(queue);
    }
    const rules: QueueRules[] = [...lists.values()];
    const program = loadXdpProgram(
      this.#calls,
      xdpProgram(codeForQueues(rules), xdpRedirect(this.#map)),
      this.segments,
    );
    const attributes = new Struct(16).u32(0, this.#link).u32(4, program);
    const result = this.#calls.bpf(BPF_LINK_UPDATE, attributes);
    this.#calls.close(program); // the link holds it
    if (result < 0) {
      const gone = { [ENOLINK]: { code: 'NO_INTERFACE', why: 'the interface is gone', remedy: GONE_REMEDY } } as const;
      throw systemCallError('bpf BPF_LINK_UPDATE', -result, 'change the rules', gone, CAPABILITIES);
    }
    this.#compiled = compiled;
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

  /** One socket fewer, that of this queue. @returns whether that was the last one, and the program is detached */
  release(queue: number): boolean {
    this.#queues.delete(queue);
    if (--this.#users > 0) return false;
    this.#calls.close(this.#link);
    this.#calls.close(this.#map);
    return true;
  }
}

/** Equal for equal rules. */
function nameOf(receive: QueueReceive): string {
  return receive === 'all' ? receive : JSON.stringify(receive);
}

/** The programs that this kernel has attached, by interface index; sockets of one interface share one. */
export class XdpPrograms {
  readonly #calls: SystemCalls;
  readonly #attached = new Map<number, XdpProgram>();
  readonly #resets = new LinkResets();

  constructor(calls: SystemCalls) {
    this.#calls = calls;
  }

  /** The interface's program, attached if need be. Every `acquire` wants one `release`. */
  acquire(device: LinuxInterface, attachMode: AttachMode, segments: boolean): XdpProgram {
    const present = this.#attached.get(device.index);
    if (present === undefined) {
      this.#resets.expect(device);
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

  release(device: LinuxInterface, program: XdpProgram, queue: number): void {
    this.#resets.expect(device);
    if (program.release(queue) && this.#attached.get(device.index) === program) this.#attached.delete(device.index);
  }

  /** Waits until the link is up again, where a change of the program has reset it; for a bounded time. */
  settled(device: LinuxInterface): Promise<void> {
    return this.#resets.settled(device);
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

function createLink(calls: SystemCalls, program: number, device: LinuxInterface, attachMode: AttachMode): number {
  const flags = attachMode === 'native' ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  const attributes = new Struct(48).u32(0, program).u32(4, device.index).u32(8, BPF_XDP).u32(12, flags);
  const link = calls.bpf(BPF_LINK_CREATE, attributes);
  if (link >= 0) return link;
  const what = `attach an XDP program to ${device.name} in ${attachMode} mode`;
  const busy = link === -EBUSY || link === -EEXIST;
  const meanings = busy ? { [-link]: programInTheWay(calls, device) } : linkMeanings(device, attachMode);
  throw systemCallError('bpf BPF_LINK_CREATE', -link, what, meanings, CAPABILITIES);
}

/** What the kernel and its drivers mean by refusing a link; they say more only in the kernel's trace. */
function linkMeanings(device: LinuxInterface, attachMode: AttachMode): Meanings {
  const { name } = device;
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
    [ENODEV]: { code: 'NO_INTERFACE', why: 'the interface is gone', remedy: GONE_REMEDY },
    ...(attachMode === 'native'
      ? { [EOPNOTSUPP]: unsupported, [ENOTSUPP]: unsupported, [ERANGE]: mtu, [EINVAL]: mtu, [ENOSPC]: queues }
      : {}),
  };
}
