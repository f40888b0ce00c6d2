import type { Arena } from '../arena/arena.js';
import { checkInteger, PacketError } from '../errors.js';
import { checkBoolean, checkChoice } from '../options.js';
import { type CapturedPackets, listCapturedPackets } from './captured-packets.js';
import { WireCounters, type WireSource } from './contract.js';
import { writeAsEthernet } from './ethernet-conversion.js';
import { checkNumber, checkRate } from './numbers.js';
import { PacketLoop } from './packet-loop.js';

/** Options of a replay. Plain data. */
export interface ReplayOptions {
  /** Which wire it is. */
  readonly kind: 'replay';
  /** The bytes of a pcap or pcapng file, unpacked. Read when the wire is built, not kept. */
  readonly capture: Uint8Array;
  /** As the packets were recorded (default), or as fast as the device takes them. */
  readonly pace?: 'recorded' | 'max';
  /** A steady rate instead of a pace: above 0, at most 1e9. */
  readonly packetsPerSecond?: number;
  /** For the recorded pace: how much faster, 0.000001 to 1000000; default 1. */
  readonly speed?: number;
  /** How often the packets are sent, 1 to 2^53 - 1; `true`: without end. Default 1. */
  readonly loop?: number | true;
  /** Raw IP and Linux "cooked" captures: give their packets an Ethernet header of their own. Default: such files are refused. */
  readonly asEthernet?: boolean;
}

const PACES = ['recorded', 'max'] as const;

/** Nanoseconds that a round takes for each of its packets where all have the same time. */
const UNTIMED_INTERVAL = 1000;

/**
 * Sends the packets of a capture file. They are read into the arena once and go round from there; a damaged file is replayed up
 * to the damage. At the recorded pace the first packet is due when the device first asks, the others as long after it as
 * recorded; packets recorded out of order are due together with the latest before them, and the next round begins an average
 * gap behind the last packet.
 */
export class Replay implements WireSource {
  readonly up = true;
  /** Packets at a pace of their own do not wait for a device. */
  readonly patient: boolean;
  /** What is wrong with the file behind the last packet that could be read; undefined for a sound file. */
  readonly damage: PacketError | undefined;
  /** Bytes of the longest packet, with its Ethernet header. */
  readonly longest: number;
  /** Packets of the file that are left out, being shorter than an Ethernet header, and that the capture has cut. */
  readonly details: { readonly capture_too_short: number; readonly capture_cut: number };
  readonly #counters = new WireCounters();
  readonly #loop: PacketLoop;
  readonly #rounds: number;
  /** When each packet is due in its round, in nanoseconds; undefined when nothing paces them. */
  readonly #due: Float64Array | undefined;
  readonly #period: number;
  /** When the first packet was asked for. */
  #begun = -1;

  /** @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED, CAPTURE_CORRUPT where nothing is readable, CAPTURE_UNSUPPORTED */
  constructor(arena: Arena, options: ReplayOptions) {
    checkOptions(options);
    const { capture, loop = 1 } = options;
    const packets = listCapturedPackets(capture, options.asEthernet === true);
    const { offsets, capturedLengths, linkTypes, lengths } = packets;
    this.damage = packets.damage;
    this.longest = packets.longest;
    this.details = { capture_too_short: packets.tooShort, capture_cut: packets.cut };
    this.#rounds = loop === true ? Number.POSITIVE_INFINITY : loop;
    const { due, period } = schedule(packets, options);
    this.#due = due;
    this.#period = period;
    this.patient = due === undefined;
    this.#loop = new PacketLoop(arena, lengths, (i, to) =>
      writeAsEthernet(arena.u8, to, linkTypes[i]!, capture, offsets[i]!, capturedLengths[i]!),
    );
  }

  get list(): number {
    return this.#loop.list;
  }

  get counters(): WireCounters {
    this.#counters.packets = this.#loop.packetsTaken;
    this.#counters.bytes = this.#loop.bytesTaken;
    return this.#counters;
  }

  offer(limit: number, now: number): number {
    const loop = this.#loop;
    if (loop.rounds >= this.#rounds) return 0;
    const most = Math.min(loop.left, limit);
    const due = this.#due;
    if (due === undefined) return most;
    if (this.#begun < 0) this.#begun = now;
    const { position } = loop;
    const roundBegun = this.#roundBegun();
    let count = 0;
    while (count < most && roundBegun + due[position + count]! <= now) count++;
    return count;
  }

  take(count: number): void {
    this.#loop.take(count);
  }

  nextArrival(now: number): number {
    const { rounds, position } = this.#loop;
    if (rounds >= this.#rounds) return Number.POSITIVE_INFINITY;
    if (this.#due === undefined || this.#begun < 0) return now;
    return this.#roundBegun() + this.#due[position]!;
  }

  #roundBegun(): number {
    return this.#begun + this.#loop.rounds * this.#period;
  }

  close(): void {
    this.#loop.close();
  }
}

function checkOptions(options: ReplayOptions): void {
  const { capture, pace, packetsPerSecond, speed, loop, asEthernet } = options;
  if (!(capture instanceof Uint8Array)) {
    throw invalid(
      `capture: ${typeof capture} is not the bytes of a file (a Uint8Array)`,
      'for example await readFile(path)',
    );
  }
  if (pace !== undefined) checkChoice('pace', pace, PACES);
  checkBoolean('asEthernet', asEthernet);
  if (loop !== undefined && loop !== true) checkInteger('loop', loop, 1, Number.MAX_SAFE_INTEGER);
  if (packetsPerSecond !== undefined) {
    checkRate('packetsPerSecond', packetsPerSecond);
    if (pace !== undefined) throw invalid(`pace: ${pace} contradicts packetsPerSecond`, 'give one of them');
  }
  if (speed === undefined) return;
  checkNumber('speed', speed, 1e-6, 1e6);
  if (pace === 'max' || packetsPerSecond !== undefined) {
    throw invalid(
      `speed: ${speed} is for the recorded pace only, not with pace max or packetsPerSecond`,
      'leave speed out, or pace and packetsPerSecond',
    );
  }
}

/** When the packets of a round are due, and how long a round takes. */
function schedule(packets: CapturedPackets, options: ReplayOptions): { due: Float64Array | undefined; period: number } {
  if (options.pace === 'max') return { due: undefined, period: 0 };
  const count = packets.lengths.length;
  if (options.packetsPerSecond !== undefined) {
    const interval = 1e9 / options.packetsPerSecond;
    return { due: Float64Array.from({ length: count }, (_, i) => i * interval), period: count * interval };
  }
  const { speed = 1 } = options;
  const due = Float64Array.from(packets.due, (time) => time / speed);
  const lasted = due[count - 1]!;
  if (lasted === 0) return { due, period: count * UNTIMED_INTERVAL };
  return { due, period: lasted + lasted / (count - 1) };
}

function invalid(message: string, remedy: string): PacketError {
  return new PacketError('INVALID_OPTION', message, { remedy });
}
