import type { Arena } from '../arena/arena.js';
import { NicDriver } from '../driver/nic-driver.js';
import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import { Classifier } from '../nic/classifier.js';
import type { RssOptions } from '../nic/rss.js';
import { type InterruptModeration, SoftNic } from '../nic/soft-nic.js';
import { checkBoolean, checkOptionNames } from '../options.js';
import { parseMacAddress } from '../packet/mac-address.js';
import { buildWire, closeWire, type WireOptions, type WireSurroundings } from '../wire/options.js';
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
  /** When interrupts are raised; default for every packet at once, and 50 µs where only `packets` is given. */
  readonly moderation?: Partial<InterruptModeration>;
  /**
   * Whether the device makes patient senders (those without a rate) wait when it has no descriptors, as pause frames do. Then one queue
   * that is not served holds up all. Default: with one queue.
   */
  readonly pause?: boolean;
  /** How packets that no rule steers are spread over the queues. */
  readonly rss?: Omit<RssOptions, 'queues'>;
  /** Flow-director rules that the device holds at most, 0 to 65536; default 8192. */
  readonly rules?: number;
}

const OPTION_NAMES: readonly (keyof NicOptions)[] = [
  'name',
  'queues',
  'ring',
  'mtu',
  'mac',
  'wire',
  'moderation',
  'pause',
  'rss',
  'rules',
];

/** Builds hardware and driver on a device. @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED */
export function buildNic(arena: Arena, device: Device, options: NicOptions, around: WireSurroundings): void {
  checkOptionNames('addNic', options, OPTION_NAMES);
  checkBoolean('pause', options.pause);
  const queues = checkInteger('queues', options.queues ?? 1, 1, 4096);
  const mtu = checkInteger('mtu', options.mtu ?? 1500, 68, 16000);
  const mac = options.mac ?? '02:00:00:00:00:02';
  if (parseMacAddress(mac) === undefined) {
    throw new PacketError('INVALID_OPTION', `mac: ${mac} is not a link-layer address such as 02:00:00:00:00:01`, {
      remedy: 'six bytes in hexadecimal, with colons between them',
    });
  }
  const ringEntries = checkPowerOfTwo('ring', options.ring ?? 512, 64, 8192);
  const { packets = 1, nanoseconds = 50_000 } = checkModeration(options.moderation);
  const moderation = {
    packets: checkInteger('moderation.packets', packets, 1, 4096),
    nanoseconds: checkInteger('moderation.nanoseconds', nanoseconds, 0, 1e9),
  };
  const pause = options.pause ?? queues === 1;
  const rules = checkInteger('rules', options.rules ?? 8192, 0, 65536);
  const wire = buildWire(arena, options.wire ?? { kind: 'none' }, around);
  let undo = () => closeWire(wire);
  try {
    const classifier = new Classifier(arena, { queues, rules, rss: checkRss(options.rss) });
    undo = () => {
      classifier.close();
      closeWire(wire);
    };
    const nic = new SoftNic({ arena, queues, ringEntries, mtu, moderation, pause, ...wire, classifier });
    undo = () => nic.close(); // which closes the other two
    const ordinary = (queue: number) => device.ordinaryEnds(queue, queue === queues);
    device.attach(new NicDriver(arena, nic, ordinary, { name: options.name, mtu, mac }), wire);
  } catch (error) {
    undo();
    throw error;
  }
}

function checkModeration(moderation: NonNullable<NicOptions['moderation']> = {}) {
  checkOptionNames('moderation', moderation, ['packets', 'nanoseconds'] satisfies (keyof InterruptModeration)[]);
  return moderation;
}

function checkRss(rss: NonNullable<NicOptions['rss']> = {}) {
  checkOptionNames('rss', rss, ['entries', 'key', 'ports'] satisfies (keyof RssOptions)[]);
  checkBoolean('rss.ports', rss.ports);
  return rss;
}
