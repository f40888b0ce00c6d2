import type { ArenaShare } from '../../arena/arena.js';
import type { PacketErrorData } from '../../errors.js';
import type { DataPathShare, Kernel, PacketVersion, SocketMaps } from '../../kernel/contract.js';
import type { PacketBufferShare } from '../../packet-buffer/packet-buffer.js';
import type { OpenSocketOptions } from '../../socket/open-socket.js';
import type { SocketMode } from '../../socket/packet-socket.js';

/** What crosses to a queue's thread of the options of a socket: everything but objects of this thread. */
export type PlainSocketOptions = Omit<OpenSocketOptions, 'kernel' | 'buffer' | 'onDowngrade'>;

/** What a queue's thread is started with. */
export interface QueueStart {
  readonly module: string;
  readonly arena: ArenaShare;
  readonly buffer: PacketBufferShare;
  readonly kernel: Kernel['name'];
  readonly queue: number;
  readonly data: unknown;
  /** One word, in shared memory: not 0 when the thread is to come to its end. */
  readonly stop: SharedArrayBuffer;
}

/** To a queue's thread. */
export type ToThread =
  | { readonly kind: 'open'; readonly options: PlainSocketOptions }
  | { readonly kind: 'run' }
  | { readonly kind: 'stop' }
  | ({ readonly kind: 'answer'; readonly id: number } & Answer);

/** From a queue's thread. */
export type FromThread =
  | { readonly kind: 'opened'; readonly mode: SocketMode }
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'error'; readonly error: ThreadError }
  | ({ readonly kind: 'call' } & Call);

/** A control call of the thread's socket (by its id), or of the kernel. */
export interface Call {
  readonly id: number;
  readonly socket: number | undefined;
  readonly method: string;
  readonly args: readonly unknown[];
}

export type Answer = { readonly result: unknown } | { readonly error: ThreadError };

/** An error that survives `postMessage`. */
export type ThreadError = { readonly packetError: PacketErrorData } | { readonly other: unknown };

/** What the calls `socket` and `map` answer. */
export interface SocketAnswer {
  readonly id: number;
  readonly version: PacketVersion;
  readonly busyPoll: boolean;
  readonly transmitMetadata: boolean;
}
export interface MapAnswer {
  readonly maps: SocketMaps;
  readonly path: DataPathShare;
}
