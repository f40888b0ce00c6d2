import type { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import { checkChoice, checkOptionNames } from '../options.js';
import { Cables } from './cables.js';
import type { WireEnds, WireSink, WireSource } from './contract.js';
import { checkFaultOptions, type FaultOptions } from './fault-options.js';
import { addFaults } from './fault-wire.js';
import { Generator, type GeneratorOptions } from './generator.js';
import type { PatchOptions } from './patch.js';
import { checkRecorderOptions, Recorder, type RecorderOptions } from './recorder.js';
import { Replay, type ReplayOptions } from './replay.js';
import { Silence } from './silence.js';
import { Sink } from './sink.js';

/** A wire on which nothing arrives and everything that is sent vanishes. */
export interface NoWireOptions {
  /** Which wire it is. */
  readonly kind: 'none';
}

/** Any wire, whose packets out of the device are recorded on their way. */
export interface RecordOptions extends RecorderOptions {
  /** Which wire it is. */
  readonly kind: 'record';
  /** The wire that is recorded; default none. */
  readonly wire?: WireOptions;
}

/** What a device hangs on, as plain data, so that it can be posted to a kernel thread. */
export type WireOptions =
  | NoWireOptions
  | GeneratorOptions
  | ReplayOptions
  | PatchOptions
  | RecordOptions
  | FaultOptions;

const KINDS = ['none', 'generator', 'replay', 'patch', 'record', 'fault'] as const;
/** The options of each kind. */
const OPTION_NAMES: Record<WireOptions['kind'], readonly string[]> = {
  none: ['kind'],
  generator: [
    'kind',
    'packetsPerSecond',
    'count',
    'size',
    'packets',
    'flows',
    'burst',
    'pattern',
    'destinationMac',
    'port',
    'seed',
  ],
  replay: ['kind', 'capture', 'pace', 'packetsPerSecond', 'speed', 'loop', 'asEthernet'],
  patch: ['kind', 'cable', 'bytes', 'latencyNanoseconds', 'pause'],
  record: ['kind', 'wire', 'bytes', 'snapLength'],
  fault: ['kind', 'wire', 'drop', 'corrupt', 'truncate', 'duplicate', 'reorder', 'seed', 'direction', 'flap'],
};
/** Wires around wires, at most. */
const DEEPEST = 8;

/** A wire as it was built. */
export interface Wire extends WireEnds {
  /** The (outermost) recorder, of which recordings are taken. */
  readonly recorder: Recorder | undefined;
  /** What is wrong with a replayed file behind its last readable packet. */
  readonly damage: PacketError | undefined;
  /** Bytes of the longest packet of a replayed file, with its Ethernet header; 0 on other wires. */
  readonly longest: number;
}

/** What wires need of the kernel that they belong to. */
export interface WireSurroundings {
  /** The kernel's cables; without them a patch has no other end. */
  readonly cables?: Cables;
  /** What makes the kernel's times times of day, in milliseconds since 1970; default 0. */
  readonly epochMilliseconds?: number;
}

/**
 * Builds a wire from its options. Whoever gets it closes source and sink; if building fails, nothing stays behind.
 *
 * @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED, and for replays CAPTURE_CORRUPT, CAPTURE_UNSUPPORTED
 */
export function buildWire(arena: Arena, options: WireOptions, surroundings: WireSurroundings = {}): Wire {
  return build(arena, options, surroundings, 1);
}

function build(arena: Arena, options: WireOptions, surroundings: WireSurroundings, depth: number): Wire {
  if (typeof options !== 'object' || options === null) {
    throw new PacketError('INVALID_OPTION', `wire: ${String(options)} is not the options of a wire`, {
      remedy: "for example { kind: 'generator', size: 64 }",
    });
  }
  if (depth > DEEPEST)
    throw new PacketError('INVALID_OPTION', `wire: more than ${DEEPEST} wires around each other`, {
      remedy: 'one wire with faults has them all',
    });
  checkChoice('wire.kind', options.kind, KINDS);
  checkOptionNames(`wire (${options.kind})`, options, OPTION_NAMES[options.kind]);
  switch (options.kind) {
    case 'none':
      return plain(new Silence(), new Sink());
    case 'generator':
      return plain(new Generator(arena, options), new Sink());
    case 'replay': {
      const replay = new Replay(arena, options);
      return { ...plain(replay, new Sink()), damage: replay.damage, longest: replay.longest };
    }
    case 'patch': {
      const { source, sink } = (surroundings.cables ?? new Cables()).plug(arena, options);
      return plain(source, sink);
    }
    case 'record': {
      checkRecorderOptions(options);
      const inner = build(arena, options.wire ?? { kind: 'none' }, surroundings, depth + 1);
      const recorder = new Recorder(arena, options, inner.sink, surroundings.epochMilliseconds ?? 0);
      return { ...inner, sink: recorder, recorder };
    }
    case 'fault': {
      checkFaultOptions(options);
      const inner = build(arena, options.wire, surroundings, depth + 1);
      try {
        return { ...inner, ...addFaults(arena, options, inner) };
      } catch (error) {
        closeWire(inner);
        throw error;
      }
    }
  }
}

function plain(source: WireSource, sink: WireSink): Wire {
  return { source, sink, recorder: undefined, damage: undefined, longest: 0 };
}

/** Gives back everything that a wire has, for whoever could not hang a device on it. */
export function closeWire({ source, sink }: WireEnds): void {
  source.close();
  sink.close();
}

/** Counts of a wire and of what it is made of, in the manner of `ethtool -S`. */
export function wireStatistics({ source, sink }: WireEnds): Record<string, number> {
  const result: Record<string, number> = {};
  count(result, 'wire_rx_', source);
  count(result, 'wire_tx_', sink);
  return result;
}

function count(result: Record<string, number>, prefix: string, outermost: WireSource | WireSink): void {
  result[`${prefix}packets`] = outermost.counters.packets;
  let lost = 0;
  for (let end: WireSource | WireSink | undefined = outermost; end !== undefined; end = end.inner) {
    lost += end.counters.lost;
    for (const [name, value] of Object.entries(end.details ?? {})) {
      result[prefix + name] = (result[prefix + name] ?? 0) + value;
    }
  }
  result[`${prefix}lost`] = lost;
}
