import { readFileSync } from 'node:fs';
import { PacketError } from '../errors.js';
import { type Known, known } from '../kernel/answer.js';
import type { AttachedProgram, DeviceReport } from '../kernel/device-report.js';
import { readCapabilities } from './capabilities.js';
import { IFF_UP } from './constants.js';
import { Ethtool } from './ethtool.js';
import { type LinuxInterface, listInterfaces, readInterface } from './interfaces.js';
import { answerModes, hasAfXdp } from './mode-answers.js';
import { type LinkFacts, readLink } from './netlink/link.js';
import { readXdpFeatures } from './netlink/netdev-family.js';
import { programName } from './programs/program-name.js';
import { SystemCalls } from './system-calls.js';

const SYSFS = '/sys/class/net';

/** One interface of this namespace, with everything that helps to choose a mode. Needs no privilege; changes nothing. */
export interface DeviceDescription {
  readonly device: LinuxInterface;
  readonly link: Known<LinkFacts>;
  readonly report: DeviceReport;
}

/**
 * Describes the named interfaces of this network namespace, or all of them.
 *
 * @throws PacketError NO_INTERFACE, UNSUPPORTED_PLATFORM
 */
export async function describeLinuxDevices(names?: readonly string[]): Promise<DeviceReport[]> {
  const calls = await SystemCalls.load();
  if (names !== undefined) return names.map((name) => describeDevice(calls, name).report);
  return listInterfaces(calls).flatMap(({ name }) => {
    try {
      return [describeDevice(calls, name).report];
    } catch (error) {
      if (error instanceof PacketError && error.code === 'NO_INTERFACE') return []; // it vanished since
      throw error;
    }
  });
}

/** @throws PacketError NO_INTERFACE when there is none of that name, or it vanishes meanwhile */
export function describeDevice(calls: SystemCalls, name: string, sysfs = SYSFS): DeviceDescription {
  const device = readInterface(calls, name, sysfs);
  const link = readLink(calls, device.index);
  const xdp = readXdpFeatures(calls, device.index);
  const programs = attachedPrograms(calls, link);
  const speed = readNumber(`${sysfs}/${name}/speed`);
  const flags = readNumber(`${sysfs}/${name}/flags`);
  const { receiveQueues: receive, transmitQueues: transmit } = device;
  return Ethtool.use(calls, name, (ethtool) => {
    const rings = ethtool.rings();
    const offloads = ethtool.offloads();
    const report: DeviceReport = {
      kernel: 'linux',
      name,
      index: device.index,
      driver: device.driver,
      mac: device.mac,
      mtu: device.mtu,
      up: flags === undefined ? device.up : (flags & IFF_UP) !== 0,
      ...(link.known && link.value.carrier !== undefined && { carrier: link.value.carrier }),
      ...(speed !== undefined && speed > 0 && { speed }),
      ...(link.known && link.value.promiscuity !== undefined && { promiscuous: link.value.promiscuity > 0 }),
      queues: { receive, transmit, ...ethtool.queues() },
      ...(rings !== undefined && { rings }),
      ...(offloads !== undefined && { offloads }),
      xdp,
      programs,
      modes: answerModes({ device, xdp, programs, capabilities: readCapabilities(), afXdp: hasAfXdp(calls) }),
    };
    return { device, link, report };
  });
}

function attachedPrograms(calls: SystemCalls, link: Known<LinkFacts>): Known<AttachedProgram[]> {
  if (!link.known) return link;
  return known(link.value.programs.map(({ id, mode }) => ({ id, mode, name: programName(calls, id) })));
}

/** The number in a file of /sys, also a hexadecimal one; undefined where the driver has none (EINVAL for a link that is down). */
function readNumber(file: string): number | undefined {
  try {
    const value = Number(readFileSync(file, 'utf8').trim());
    return Number.isFinite(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
