import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { PacketError } from '../errors.js';
import { factOf } from '../kernel/answer.js';
import type { InterfaceInfo, Mode } from '../kernel/contract.js';
import { IFF_UP, IFNAMSIZ } from './constants.js';
import { Ethtool } from './ethtool.js';
import { ARPHRD_LOOPBACK, foreignLink } from './link-types.js';
import { readXdpFeatures } from './netlink/netdev-family.js';
import type { SystemCalls } from './system-calls.js';

const SYSFS = '/sys/class/net';

/** Modes that this kernel can try on an interface, best first: all but those that the kernel itself rules out. */
const MODES: readonly Mode[] = ['xdp-zc', 'xdp-copy', 'xdp-generic', 'v3', 'v2'];

/** An interface with what binding needs to know beside the contract's description. */
export interface LinuxInterface extends InterfaceInfo {
  /** Index within the network namespace (if_nametoindex). */
  readonly index: number;
  readonly receiveQueues: number;
  readonly transmitQueues: number;
}

/** The interfaces of this process's network namespace, by name. Ones that vanish meanwhile are left out. */
export function listInterfaces(calls: SystemCalls, sysfs = SYSFS): LinuxInterface[] {
  const found: LinuxInterface[] = [];
  for (const name of readdirSync(sysfs).sort()) {
    if (calls.interfaceIndex(name) === 0) continue; // bonding_masters and other files; interfaces of another namespace
    try {
      found.push(readInterface(calls, name, sysfs));
    } catch (error) {
      if (!(error instanceof PacketError && error.code === 'NO_INTERFACE')) throw error;
    }
  }
  return found;
}

/**
 * Describes one interface, from /sys/class/net and the driver's own answers (ethtool, netdev family).
 *
 * @throws PacketError NO_INTERFACE when this namespace has none of that name, or vanishes while it is read
 */
export function readInterface(calls: SystemCalls, name: string, sysfs = SYSFS): LinuxInterface {
  const index = name.length < IFNAMSIZ && !name.includes('/') ? calls.interfaceIndex(name) : 0;
  if (index === 0) {
    throw new PacketError('NO_INTERFACE', `there is no interface ${JSON.stringify(name)} in this network namespace`, {
      syscall: 'if_nametoindex',
      remedy: '`ip link` lists the interfaces; in another namespace, start the program with `ip netns exec NAMESPACE`',
    });
  }
  const read = (file: string): string => readFileSync(`${sysfs}/${name}/${file}`, 'utf8').trim();
  try {
    // Indices start from 1 in every namespace, so equal ones prove nothing, but different ones do: /sys still shows the
    // namespace in which it was mounted.
    if (Number(read('ifindex')) !== index) throw foreignSysfs(name);
    const receiveQueues = countQueues(`${sysfs}/${name}/queues`, 'rx-');
    const transmitQueues = countQueues(`${sysfs}/${name}/queues`, 'tx-');
    const type = Number(read('type'));
    const link = foreignLink(type);
    const zeroCopy = factOf(readXdpFeatures(calls, index))?.zeroCopy;
    return {
      name,
      index,
      driver: driverName(calls, name, type, `${sysfs}/${name}`),
      queues: Math.max(receiveQueues, transmitQueues),
      receiveQueues,
      transmitQueues,
      mtu: Number(read('mtu')),
      up: (Number(read('flags')) & IFF_UP) !== 0 && read('operstate') !== 'lowerlayerdown',
      mac: read('address'),
      ...(link !== undefined && { foreignLink: link }),
      modes: link !== undefined ? [] : zeroCopy === false ? MODES.filter((mode) => mode !== 'xdp-zc') : MODES,
      zeroCopy,
    };
  } catch (cause) {
    if (cause instanceof PacketError) throw cause;
    if (calls.interfaceIndex(name) !== 0) throw foreignSysfs(name, cause);
    throw new PacketError('NO_INTERFACE', `the interface ${name} vanished while it was looked at`, {
      cause,
      remedy: 'tp4 devices lists those there are',
    });
  }
}

/** What to do when an interface that was there is no more. */
export const GONE_REMEDY =
  'it was removed, renamed or moved to another network namespace: `tp4 devices` lists those there are';

function foreignSysfs(name: string, cause?: unknown): PacketError {
  return new PacketError('NO_INTERFACE', `/sys shows another network namespace than the one ${name} is in`, {
    cause,
    remedy: 'enter the namespace with `ip netns exec`, which also mounts its /sys',
  });
}

function countQueues(directory: string, prefix: string): number {
  return readdirSync(directory).filter((name) => name.startsWith(prefix)).length;
}

/** The driver's name, "veth"; "loopback" for lo, which has no driver; "" where nobody tells. */
function driverName(calls: SystemCalls, name: string, type: number, directory: string): string {
  if (type === ARPHRD_LOOPBACK) return 'loopback';
  try {
    return readlinkSync(`${directory}/device/driver`).replace(/^.*\//, '');
  } catch {
    return Ethtool.use(calls, name, (ethtool) => ethtool.driver()); // virtual interfaces have no device folder
  }
}
