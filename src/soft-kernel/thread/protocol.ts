import type { ArenaShare } from '../../arena/arena.js';
import type { PacketErrorData } from '../../errors.js';

/** A message port of a browser or of Node: whichever of the two the types of the program know. */
export type HostMessagePort = InstanceType<typeof MessagePort>;

/** The first message to a kernel thread. */
export interface StartMessage {
  readonly arena: ArenaShare;
  /** Arena byte offset of the doorbell. */
  readonly doorbell: number;
}

/** What another application thread needs to join a kernel, for `postMessage` with `port` in the list of what is transferred. */
export interface KernelShare {
  /** The arena, and the part of it that is that thread's. */
  readonly arena: ArenaShare;
  /** Arena byte offset of the doorbell. */
  readonly doorbell: number;
  /** Its line to the kernel, for control calls. */
  readonly port: HostMessagePort;
}

/** Whether it is one, as it arrives on the other thread. */
export function isKernelShare(value: unknown): value is KernelShare {
  if (typeof value !== 'object' || value === null) return false;
  const { arena, doorbell, port } = value as Partial<KernelShare>;
  return arena?.memory instanceof WebAssembly.Memory && Number.isInteger(doorbell) && port instanceof MessagePort;
}

/** How a socket is named: in messages by an id that no other of its thread ever has, in the doorbell by a number that is used again. */
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
  /** Posts a message; the ports in `transfer`, which are parts of it, go to the other thread. */
  post(message: unknown, transfer?: readonly HostMessagePort[]): void;
  /** Calls `receive` with each message, in the order posted, from now on. Called once. */
  listen(receive: (message: unknown) => void): void;
}

/** A started thread. */
export interface KernelThread extends ThreadPort {
  /** Calls `tell` when the thread has failed or ended: nothing that it was asked for will be answered. */
  ended(tell: (reason: Error) => void): void;
  /** Ends the thread, whatever it is doing; resolves when it has ended. */
  terminate(): Promise<void>;
}

/**
 * The line of one more application thread. Carries calls and answers, and `null` from the kernel when it is closed. `ended` tells
 * that the other end was closed, or its thread has ended.
 */
export interface LinePort extends ThreadPort {
  ended(tell: () => void): void;
  close(): void;
}

/** What the host lends: a way to start a thread that runs {@link serveKernel}. Node's is in src/host. */
export interface ThreadHost {
  /** Starts one. What is posted before it listens waits for it. */
  start(): KernelThread;
}
