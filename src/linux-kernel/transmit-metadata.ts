import { PacketError } from '../errors.js';
import { factOf, type Known } from '../kernel/answer.js';
import type { Binding, TransmitMetadata } from '../kernel/contract.js';
import type { XdpFeatures } from '../kernel/device-report.js';
import type { LinuxInterface } from './interfaces.js';
import type { BoundMode } from './xdp-binding.js';

/** What the kernel means by EINVAL when a packet buffer is registered with metadata. */
export const NO_METADATA = {
  code: 'MODE_UNSUPPORTED',
  why: 'this kernel takes no metadata in front of sent packets',
  remedy: 'Linux from 6.8, or open the socket without transmitChecksums, transmitTimestamps and launchTimes',
} as const;

/**
 * Drivers that are handed packets without a linear part (IFF_TX_SKB_NO_LINEAR), which the kernel's software checksums do not reach into.
 * Linux 7.3 refuses to bind (EOPNOTSUPP); 6.18 binds, sends nothing, and keeps the queue until it is booted anew.
 */
const WITHOUT_SOFTWARE_CHECKSUMS: readonly string[] = ['virtio_net'];

export function wantsMetadata({ checksums, timestamps, launchTimes }: TransmitMetadata): boolean {
  return checksums || timestamps || launchTimes;
}

/** Whether sockets may share one registration of a packet buffer, of which the place for metadata is a part. */
export function sameMetadata(a: TransmitMetadata, b: TransmitMetadata): boolean {
  return a.checksums === b.checksums && a.timestamps === b.timestamps && a.launchTimes === b.launchTimes;
}

/**
 * Checks what the kernel does not: a driver that cannot do what metadata asks for sends the packet all the same. In copy mode the kernel
 * itself fills in checksums, and notes the time at which it lets go of a packet; launch times are the device's work in any mode.
 *
 * @param features what the driver can do (`xsk-features`)
 * @returns whose time a timestamp is; undefined where none are wanted
 * @throws PacketError MODE_UNSUPPORTED
 */
export function checkTransmitMetadata(
  wanted: TransmitMetadata,
  { name, driver }: LinuxInterface,
  mode: BoundMode,
  features: Known<XdpFeatures>,
): Binding['transmitTimestamps'] {
  const can = factOf(features)?.transmitMetadata ?? [];
  const refuse = (option: string, why: string, remedy: string): PacketError =>
    new PacketError('MODE_UNSUPPORTED', `${option} on ${name}: ${why}`, { remedy });
  const lack = (what: string): string => (features.known ? `the driver ${driver} ${what}` : features.why);
  const copies = mode !== 'xdp-zc';
  const software = !WITHOUT_SOFTWARE_CHECKSUMS.includes(driver);
  if (wanted.checksums && (copies ? !software : !can.includes('checksum'))) {
    throw refuse(
      'transmitChecksums',
      copies
        ? `the kernel computes none for packets that it copies for the driver ${driver}`
        : lack('fills in no checksums in zero-copy mode'),
      `${software ? "mode 'xdp-copy', where the kernel computes them, or " : ''}open the socket without transmitChecksums`,
    );
  }
  if (wanted.timestamps && !copies && !can.includes('timestamp')) {
    throw refuse(
      'transmitTimestamps',
      lack('does not tell in zero-copy mode when packets were sent'),
      "mode 'xdp-copy', where the kernel notes when it lets go of a packet, or open the socket without transmitTimestamps",
    );
  }
  if (wanted.launchTimes && !can.includes('launch-time')) {
    throw refuse(
      'launchTimes',
      lack('has no launch times'),
      'a device with them (igc, stmmac; Linux from 6.14), or send each packet when its time has come',
    );
  }
  if (!wanted.timestamps) return undefined;
  return copies ? 'kernel' : 'device';
}
