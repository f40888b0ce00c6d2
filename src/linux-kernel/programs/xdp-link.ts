import {
  BPF_LINK_CREATE,
  BPF_LINK_UPDATE,
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
} from '../constants.js';
import { GONE_REMEDY, type LinuxInterface } from '../interfaces.js';
import { programInTheWay } from '../occupants.js';
import { Struct } from '../struct.js';
import type { Meanings } from '../system-call-error.js';
import type { SystemCalls } from '../system-calls.js';
import { bpfError } from './bpf-error.js';

/** Where the program runs: in the driver (native), or in the stack after the driver has made a socket buffer (generic). */
export type AttachMode = 'native' | 'generic';

/**
 * A program at work on an interface, by BPF link: the kernel detaches it when the link's descriptor is closed, also by the end of the
 * process, in whatever way.
 */
export class XdpLink {
  readonly #calls: SystemCalls;
  #descriptor: number | undefined;

  /**
   * Attaches a program.
   *
   * @param program descriptor, which stays the caller's: the link holds the program
   * @throws PacketError NO_PRIVILEGE, MODE_UNSUPPORTED, INTERFACE_BUSY (another program is attached), NO_INTERFACE, SYSTEM_CALL
   */
  constructor(calls: SystemCalls, program: number, device: LinuxInterface, mode: AttachMode) {
    this.#calls = calls;
    const flags = mode === 'native' ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    const attributes = new Struct(48).u32(0, program).u32(4, device.index).u32(8, BPF_XDP).u32(12, flags);
    const link = calls.bpf(BPF_LINK_CREATE, attributes);
    if (link < 0) throw linkError(calls, -link, device, mode);
    this.#descriptor = link;
  }

  /**
   * Puts another program in the place of the one that is attached, at once: each packet meets either the one or the other.
   *
   * @param what why, as the beginning of an error's sentence
   * @throws PacketError NO_INTERFACE, SYSTEM_CALL
   */
  update(program: number, what: string): void {
    const attributes = new Struct(16).u32(0, this.#descriptor ?? -1 >>> 0).u32(4, program);
    const result = this.#calls.bpf(BPF_LINK_UPDATE, attributes);
    if (result >= 0) return;
    throw bpfError('BPF_LINK_UPDATE', -result, what, {
      [ENOLINK]: { code: 'NO_INTERFACE', why: 'the interface is gone', remedy: GONE_REMEDY },
    });
  }

  /** Detaches. Idempotent. */
  close(): void {
    if (this.#descriptor !== undefined) this.#calls.close(this.#descriptor);
    this.#descriptor = undefined;
  }
}

function linkError(calls: SystemCalls, errno: number, device: LinuxInterface, mode: AttachMode) {
  const busy = errno === EBUSY || errno === EEXIST;
  const meanings = busy ? { [errno]: programInTheWay(calls, device) } : linkMeanings(device, mode);
  return bpfError('BPF_LINK_CREATE', errno, `attach an XDP program to ${device.name} in ${mode} mode`, meanings);
}

/** What the kernel and its drivers mean by refusing a link; they say more only in the kernel's trace. */
function linkMeanings(device: LinuxInterface, mode: AttachMode): Meanings {
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
    ...(mode === 'native'
      ? { [EOPNOTSUPP]: unsupported, [ENOTSUPP]: unsupported, [ERANGE]: mtu, [EINVAL]: mtu, [ENOSPC]: queues }
      : {}),
  };
}
