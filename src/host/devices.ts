import { doesNot, known, unknown, WORKS } from '../kernel/answer.js';
import type { Mode } from '../kernel/contract.js';
import type { DeviceReport } from '../kernel/device-report.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { parseInterfaceSpec, type SoftInterface, softNic } from './interface-spec.js';

/** All modes of a soft interface, best first. */
const SOFT_MODES: readonly Mode[] = ['xdp-zc', 'xdp-copy', 'xdp-generic', 'v4-zc', 'v4', 'v3', 'v2'];

/**
 * Describes interfaces: driver, queues, link, rings, offloads, XDP, and which modes would work and why not the others. Nothing is
 * opened or changed, and no privilege needed; without privilege the modes say so.
 *
 * @param specs names of interfaces of this network namespace, or soft ones such as `soft:generator,size=64`; default: all of the namespace
 * @throws PacketError NO_INTERFACE, INVALID_OPTION, UNSUPPORTED_PLATFORM (real interfaces off Linux)
 */
export async function describeDevices(specs: readonly string[] = []): Promise<DeviceReport[]> {
  const parsed = specs.map(parseInterfaceSpec);
  if (parsed.length === 0) return describeLinux();
  const reports: DeviceReport[] = [];
  for (const spec of parsed)
    reports.push(...(spec.kernel === 'soft' ? [await describeSoft(spec)] : await describeLinux([spec.name])));
  return reports;
}

/** Loaded when first asked for: soft interfaces are described on any operating system. */
async function describeLinux(names?: readonly string[]): Promise<DeviceReport[]> {
  const { describeLinuxDevices } = await import('../linux-kernel/describe-device.js');
  return describeLinuxDevices(names);
}

async function describeSoft(spec: SoftInterface): Promise<DeviceReport> {
  const kernel = new SoftKernel();
  try {
    const { name } = await kernel.addNic(await softNic(spec));
    const { modes, ...info } = (await kernel.interfaces()).find((one) => one.name === name)!;
    return {
      kernel: 'soft',
      name: spec.text,
      driver: info.driver,
      mac: info.mac,
      mtu: info.mtu,
      up: info.up,
      queues: { receive: info.queues, transmit: info.queues, combined: info.queues },
      xdp: unknown('soft devices run no XDP programs'),
      programs: known([]),
      modes: SOFT_MODES.map((mode) => ({
        mode,
        ...(modes.includes(mode) ? WORKS : doesNot(`soft devices have no ${mode}`, `modes there: ${modes.join(', ')}`)),
      })),
      ...(info.warnings !== undefined && { warnings: info.warnings }),
    };
  } finally {
    await kernel.close();
  }
}
