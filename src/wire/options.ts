import type { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import type { WireSink, WireSource } from './contract.js';
import { Generator, type GeneratorOptions } from './generator.js';
import { Silence } from './silence.js';
import { Sink } from './sink.js';

/** What a device hangs on, as plain data, so that it can be posted to a kernel thread. */
export type WireOptions = { readonly kind: 'none' } | GeneratorOptions;

/** Both directions of a wire. */
export interface WireEnds {
  readonly source: WireSource;
  readonly sink: WireSink;
}

/** @throws PacketError INVALID_OPTION */
export function buildWire(arena: Arena, options: WireOptions): WireEnds {
  switch (options.kind) {
    case 'none':
      return { source: new Silence(), sink: new Sink() };
    case 'generator':
      return { source: new Generator(arena, options), sink: new Sink() };
    default:
      throw new PacketError(
        'INVALID_OPTION',
        `wire.kind: ${String((options as { kind: unknown }).kind)} is not one of none, generator`,
      );
  }
}
