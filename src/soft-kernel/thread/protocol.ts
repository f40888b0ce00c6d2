import type { ArenaShare } from '../../arena/arena.js';
import type { PacketErrorData } from '../../errors.js';

/** The first message to a kernel thread. */
export interface StartMessage {
  readonly arena: ArenaShare;
  /** Arena byte offset of the doorbell. */
  readonly doorbell: number;
}

/** How a socket is named: in messages by an id that no other ever has, in the doorbell by a number that is used again. */
export interface SocketNames {
  readonly id: number;
  readonly number: number;
}

/** A control call, of the kernel (socket undefined) or of one of its sockets (by its id). */
export interface CallMessage {
  readonly id: number;
  readonly socket: number | undefined;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** Its answer. */
export type AnswerMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: PacketErrorData | string };

/** The control calls that may cross, so that a message can call nothing else. */
export const KERNEL_METHODS = [
  'interfaces',
  'addNic',
  'addVeth',
  'deviceStatistics',
  'stackStatistics',
  'setLink',
  'setStuck',
  'recording',
] as const;
export const SOCKET_METHODS = [
  'registerMemory',
  'createRings',
  'map',
  'bind',
  'steer',
  'statistics',
  'unbind',
  'close',
] as const;

/** One end of a channel between two threads. */
export interface ThreadPort {
  post(message: unknown): void;
  listen(receive: (message: unknown) => void): void;
}

/** A started thread. `ended` tells of its unexpected end. */
export interface KernelThread extends ThreadPort {
  ended(tell: (reason: Error) => void): void;
  terminate(): Promise<void>;
}

/** What the host lends: a way to start a thread that runs {@link serveKernel}. Node's is in src/host. */
export interface ThreadHost {
  start(): KernelThread;
}
