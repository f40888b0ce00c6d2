import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import { checkChoice } from '../options.js';
import type { NicOptions } from '../soft-kernel/nic-options.js';
import { didYouMean } from '../suggestion.js';
import { listCapturedPackets } from '../wire/captured-packets.js';
import type { GeneratorOptions } from '../wire/generator.js';
import { checkNumber, checkRate } from '../wire/numbers.js';
import type { NoWireOptions } from '../wire/options.js';
import type { ReplayOptions } from '../wire/replay.js';
import { readCapture } from './read-capture.js';

/** An interface as command lines and `openSocket` name it, taken apart. Nothing is opened yet. */
export type InterfaceSpec = LinuxInterface | SoftInterface;

/** A name such as eth0: an interface of the Linux kernel. */
export interface LinuxInterface {
  /** Tells it from a soft one. */
  readonly kernel: 'linux';
  /** 1 to 15 characters, without white space and "/". Whether there is such an interface is not known yet. */
  readonly name: string;
}

/** "soft:...": a soft NIC to be made, and what it hangs on. */
export interface SoftInterface {
  /** Tells it from an interface of Linux. */
  readonly kernel: 'soft';
  /** The whole text. */
  readonly text: string;
  /** Everything but the wire. The name is always "soft0". */
  readonly nic: Omit<NicOptions, 'wire'>;
  /** What the NIC will hang on. A capture file is only named: {@link softNic} reads it. */
  readonly wire: SoftWire;
}

/** The wire, with the file of a capture still to be read. */
export type SoftWire =
  | NoWireOptions
  | GeneratorOptions
  | {
      /** A replay, once the file has been read. */
      readonly kind: 'pcap';
      /** Path of a pcap or pcapng file, perhaps compressed with gzip. */
      readonly file: string;
      /** How its packets are sent. */
      readonly replay: ReplaySettings;
    };

/** How a capture is replayed: everything that {@link ReplayOptions} says but the bytes of the file. */
export type ReplaySettings = Omit<ReplayOptions, 'kind' | 'capture'>;

/** What the soft NIC of an interface spec is called. */
export const SOFT_INTERFACE_NAME = 'soft0';

const PREFIX = 'soft:';
const FORMS = 'soft:generator[,size=64,packets=1024,...], soft:pcap=FILE[,pace=recorded|max,loop=...], soft:none';

/** Ethernet header, which packets have above the MTU, and FCS, which sizes count. */
const HEADER_BYTES = 14;
const FCS_BYTES = 4;
const ORDINARY_MTU = 1500;
/** What the soft NIC takes at most. */
const LARGEST_MTU = 16000;

/**
 * Takes an interface spec apart:
 *
 *     soft:generator,size=64,packets=1024      generated traffic, as fast as the device takes it
 *     soft:pcap=FILE,pace=max,loop=forever     a capture file, also compressed with gzip
 *     soft:none                                a silent wire
 *     eth0                                     an interface of the Linux kernel
 *
 * @throws PacketError INVALID_OPTION that names option, value and range
 */
export function parseInterfaceSpec(text: string): InterfaceSpec {
  if (!text.startsWith(PREFIX)) {
    if (text === 'soft') throw invalid(text, 'a soft interface says what it hangs on', FORMS);
    if (!/^[^\s/]{1,15}$/.test(text))
      throw invalid(text, 'neither the name of an interface nor of a wire', `veth0, or ${FORMS}`);
    return { kernel: 'linux', name: text };
  }
  const body = text.slice(PREFIX.length);
  // A file name may contain commas: only those in front of an option separate.
  const [head, ...settings] = body.startsWith('pcap=') ? body.split(/,(?=[A-Za-z]+=)/) : body.split(',');
  const options = new Settings(text, settings);
  const nic = options.takeNic();
  const wire = takeWire(text, head ?? '', options);
  options.expectEmpty();
  return { kernel: 'soft', text, nic: { ...nic, name: SOFT_INTERFACE_NAME }, wire };
}

function takeWire(text: string, head: string, options: Settings): SoftWire {
  if (head === 'none') return { kind: 'none' };
  if (head === 'generator') return { kind: 'generator', ...options.takeTraffic() };
  if (head.startsWith('pcap=') && head.length > 5)
    return { kind: 'pcap', file: head.slice(5), replay: options.takeReplay() };
  if (head === 'pcap' || head === 'pcap=') throw invalid(text, 'it names no file', 'soft:pcap=FILE');
  throw invalid(text, `"${head}" is not a wire${didYouMean(head, ['generator', 'pcap', 'none'])}`, FORMS);
}

/** Large packets need a large MTU; who does not set one gets it. */
function neededMtu(wire: NoWireOptions | GeneratorOptions): number {
  if (wire.kind !== 'generator' || wire.size === undefined) return ORDINARY_MTU;
  const largest = typeof wire.size === 'number' ? wire.size : Math.max(...wire.size);
  return Math.max(ORDINARY_MTU, largest - HEADER_BYTES - FCS_BYTES);
}

/**
 * MTUs for captures: an ordinary one, what frames of 2048 and of 4096 bytes hold, jumbo packets, and the device's largest. The
 * smallest that takes the longest packet, so that as many modes as can be have room for it.
 */
const CAPTURE_MTUS = [ORDINARY_MTU, 1770, 3818, 9000, LARGEST_MTU];

/** @throws PacketError CAPTURE_CORRUPT, CAPTURE_UNSUPPORTED, INVALID_OPTION: what a replay of it throws */
function captureMtu(capture: Uint8Array, { asEthernet = false }: ReplaySettings): number {
  const { longest } = listCapturedPackets(capture, asEthernet);
  return CAPTURE_MTUS.find((mtu) => mtu >= longest - HEADER_BYTES) ?? LARGEST_MTU;
}

/**
 * The soft NIC that a spec describes; reads the capture file, where there is one.
 *
 * @throws PacketError SYSTEM_CALL when the file cannot be read, CAPTURE_CORRUPT when it cannot be unpacked or nothing in it can be
 *   read, CAPTURE_UNSUPPORTED
 */
export async function softNic({ nic, wire }: SoftInterface): Promise<NicOptions> {
  if (wire.kind === 'pcap') {
    const capture = await readCapture(wire.file);
    return {
      mtu: nic.mtu ?? captureMtu(capture, wire.replay),
      ...nic,
      wire: { kind: 'replay', capture, ...wire.replay },
    };
  }
  return { mtu: neededMtu(wire), ...nic, wire };
}

/** The `name=value` parts of a spec; each is taken once. */
class Settings {
  readonly #text: string;
  readonly #values = new Map<string, string>();
  readonly #known: string[] = [];

  constructor(text: string, settings: readonly string[]) {
    this.#text = text;
    for (const setting of settings) {
      const at = setting.indexOf('=');
      if (at <= 0 || at === setting.length - 1) {
        throw invalid(text, `"${setting}" is not of the form option=value`, 'for example size=64,packets=1024');
      }
      const name = setting.slice(0, at);
      if (this.#values.has(name)) throw invalid(text, `${name} is given twice`, 'give it once');
      this.#values.set(name, setting.slice(at + 1));
    }
  }

  takeNic(): Omit<NicOptions, 'wire' | 'name'> {
    return {
      ...this.#take('queues', (value) => checkInteger('queues', toNumber(value), 1, 4096)),
      ...this.#take('ring', (value) => checkPowerOfTwo('ring', toNumber(value), 64, 8192)),
      ...this.#take('mtu', (value) => checkInteger('mtu', toNumber(value), 68, LARGEST_MTU)),
      ...this.#take('mac', (value) => value),
    };
  }

  takeTraffic() {
    return {
      ...this.#take('size', (value) => {
        const sizes = value.split('+').map((size) => checkInteger('size', toNumber(size), 64, 16000));
        return sizes.length === 1 ? sizes[0]! : sizes;
      }),
      ...this.#take('packets', (value) => checkInteger('packets', toNumber(value), 1, 2 ** 20)),
      ...this.#take('flows', (value) => checkInteger('flows', toNumber(value), 1, 2 ** 20)),
      ...this.#take('burst', (value) => checkInteger('burst', toNumber(value), 1, 2 ** 20)),
      ...this.#take('pattern', (value) => checkChoice('pattern', value, ['count', 'zeros', 'random'] as const)),
      ...this.#take('port', (value) => checkInteger('port', toNumber(value), 0, 65535)),
      ...this.#take('seed', (value) => checkInteger('seed', toNumber(value), 0, 2 ** 31 - 1)),
      ...this.#take('count', (value) => checkInteger('count', toNumber(value), 0, Number.MAX_SAFE_INTEGER)),
      ...rename(
        this.#take('rate', (value) => checkRate('rate', decimal(value))),
        'rate',
        'packetsPerSecond',
      ),
    };
  }

  takeReplay(): ReplaySettings {
    return {
      ...this.#take('pace', (value) => checkChoice('pace', value, ['recorded', 'max'] as const)),
      ...this.#take('loop', (value) =>
        value === 'forever' ? true : checkInteger('loop', toNumber(value), 1, 2 ** 31 - 1),
      ),
      ...this.#take('speed', (value) => checkNumber('speed', decimal(value), 1e-6, 1e6)),
      ...rename(
        this.#take('rate', (value) => checkRate('rate', decimal(value))),
        'rate',
        'packetsPerSecond',
      ),
      ...this.#take('asEthernet', (value) => checkChoice('asEthernet', value, ['true', 'false'] as const) === 'true'),
    };
  }

  #take<Name extends string, Value>(name: Name, check: (value: string) => Value): { [name in Name]?: Value } {
    this.#known.push(name);
    const value = this.#values.get(name);
    if (value === undefined) return {};
    this.#values.delete(name);
    try {
      return { [name]: check(value) } as { [name in Name]?: Value };
    } catch (error) {
      throw error instanceof PacketError ? invalid(this.#text, error.message, error.remedy) : error;
    }
  }

  expectEmpty(): void {
    for (const name of this.#values.keys()) {
      throw invalid(
        this.#text,
        `there is no option ${name} here${didYouMean(name, this.#known)}`,
        `it may have ${this.#known.join(', ')}`,
      );
    }
  }
}

function rename<From extends string, To extends string, Value>(
  object: { [name in From]?: Value },
  from: From,
  to: To,
): { [name in To]?: Value } {
  const value = object[from];
  return (value === undefined ? {} : { [to]: value }) as { [name in To]?: Value };
}

/** Not a number where the text is none; the range check then says so. */
function toNumber(value: string): number | string {
  return /^\d+$/.test(value) ? Number(value) : value;
}

/** The same for numbers that need not be whole. */
function decimal(value: string): number | string {
  return /^\d+(\.\d+)?(e-?\d+)?$/.test(value) ? Number(value) : value;
}

function invalid(text: string, why: string, remedy: string): PacketError {
  return new PacketError('INVALID_OPTION', `interface "${text}": ${why}`, { remedy });
}
