import type { Arena } from '../arena/arena.js';
import { NicDriver } from '../driver/nic-driver.js';
import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import { Classifier } from '../nic/classifier.js';
import type { RssOptions } from '../nic/rss.js';
import { type InterruptModeration, SoftNic } from '../nic/soft-nic.js';
import { parseMacAddress } from '../packet/mac-address.js';
import { buildWire, type WireOptions } from '../wire/options.js';
import type { Device } from './device.js';

/** A soft NIC, as plain data. */
export interface NicOptions {
  /** Interface name. */
  readonly name: string;
  /** Queue pairs, 1 to 4096; default 1. Idle ones cost nothing. */
  readonly queues?: number;
  /** Descriptors of each hardware ring, a power of two from 64 to 8192; default 512. */
  readonly ring?: number;
  /** Largest packet in bytes without Ethernet header, 68 to 16000; default 1500. */
  readonly mtu?: number;
  /** Link-layer address; default 02:00:00:00:00:02. */
  readonly mac?: string;
  /** What the device hangs on; default nothing. */
  readonly wire?: WireOptions;
  /** When interrupts are raised; default at once. */
  readonly moderation?: Partial<InterruptModeration>;
  /** Receive-side scaling over the first 64 queues. */
  readonly rss?: Omit<RssOptions, 'queues'>;
  /** Flow-director rules that the device holds at most, 0 to 65536; default 8192. */
  readonly rules?: number;
}

/** Builds device and driver on the ordinary ends that `device` makes. @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED */
export function buildNic(arena: Arena, device: Device, options: NicOptions): NicDriver {
  const queues = checkInteger('queues', options.queues ?? 1, 1, 4096);
  const mtu = checkInteger('mtu', options.mtu ?? 1500, 68, 16000);
  const mac = options.mac ?? '02:00:00:00:00:02';
  try {
    parseMacAddress(mac);
  } catch (cause) {
    throw new PacketError('INVALID_OPTION', `mac: ${mac} is not a link-layer address`, { cause });
  }
  const ringEntries = checkPowerOfTwo('ring', options.ring ?? 512, 64, 8192);
  const moderation = {
    packets: checkInteger('moderation.packets', options.moderation?.packets ?? 1, 1, 4096),
    nanoseconds: checkInteger('moderation.nanoseconds', options.moderation?.nanoseconds ?? 50_000, 0, 1e9),
  };
  const rules = checkInteger('rules', options.rules ?? 8192, 0, 65536);
  const { source, sink } = buildWire(arena, options.wire ?? { kind: 'none' });
  const classifier = new Classifier(arena, { queues, rules, ...(options.rss && { rss: options.rss }) });
  const nic = new SoftNic({ arena, queues, ringEntries, mtu, moderation, source, sink, classifier });
  return new NicDriver(arena, nic, (queue) => device.ordinaryEnds(queue), { name: options.name, mtu, mac });
}
