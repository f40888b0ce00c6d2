import { MAXIMUM_ARENA_BYTES, PAGE_BYTES } from '../arena/arena.js';
import { checkInteger, PacketError } from '../errors.js';
import type { Kernel, KernelStatistics } from '../kernel/contract.js';
import type { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { chooseQueues, makeQueueBuffer, type OpenQueuesOptions } from '../socket/open-queues.js';
import { findInterface } from '../socket/open-socket.js';
import type { PacketSocket, SocketMode } from '../socket/packet-socket.js';
import { ThreadedSoftKernel } from '../soft-kernel/thread/threaded-kernel.js';
import { type FoundInterface, findKernel } from './find-kernel.js';
import { nodeThreads } from './node-threads.js';
import type { PlainSocketOptions } from './queue-threads/protocol.js';
import { QueueWorker } from './queue-threads/queue-worker.js';

/** What a queue's function is told beside its socket. */
export interface QueueContext {
  /** Number of the queue that this thread's socket is bound to, from 0. */
  readonly queue: number;
  /** `data` of {@link RunQueuesOptions}, copied. */
  readonly data: unknown;
  /** Aborted when the queues are closed, as soon as this thread's event loop runs. */
  readonly signal: AbortSignal;
  /** The same, to look at in a loop that does not let the event loop run. */
  readonly stopping: boolean;
}

/** The default export of a queue's module. What it returns must be plain data. The socket is closed behind it. */
export type QueueProgram = (socket: PacketSocket, context: QueueContext) => Promise<unknown> | unknown;

/** What a program asks for that gives every queue a thread. Everything but kernel and buffer must be plain data. */
export interface RunQueuesOptions extends Omit<OpenQueuesOptions, 'kernel' | 'onDowngrade'> {
  /** Default as for `openSocket`; a soft kernel must be on a thread of its own. */
  readonly kernel?: Kernel;
  /** The module whose default export is a {@link QueueProgram}: `new URL('./count.js', import.meta.url)`. */
  readonly module: URL;
  /** For the functions, plain data. */
  readonly data?: unknown;
  /** Bytes of the arena that each thread gets for packet buffers of its own, from 4096; default 1 MiB. */
  readonly threadBytes?: number;
  /** How long `close` waits for a function to end by itself before it ends the thread, 0 to 3600000; default 2000. */
  readonly graceMilliseconds?: number;
}

/** What one queue's socket has counted in the kernel, in packets and system calls. */
export interface QueueCounters extends KernelStatistics {
  /** Number of the queue, from 0. */
  readonly queue: number;
}

const THREAD_BYTES = 2 ** 20;
const GRACE_MILLISECONDS = 2000;
/** An hour. */
const LONGEST_GRACE_MILLISECONDS = 3_600_000;

/** Queues of one interface that run on a thread each. */
export class RunningQueues {
  /** Name of the interface. */
  readonly interface: string;
  /** Their numbers, each once, in the order of `results` and `statistics`. */
  readonly queues: readonly number[];
  /** What the first queue got, and why not a better mode; the others got the same. */
  readonly mode: SocketMode;
  /** The frames of all of them. Made here it is closed with them; a given one stays the caller's. */
  readonly buffer: PacketBuffer;
  readonly #workers: readonly QueueWorker[];
  readonly #undo: () => Promise<void>;
  readonly #graceMilliseconds: number;
  #closing: Promise<void> | undefined;

  /** @internal use `runQueues` */
  constructor(parts: {
    interface: string;
    workers: readonly QueueWorker[];
    mode: SocketMode;
    buffer: PacketBuffer;
    graceMilliseconds: number;
    undo: () => Promise<void>;
  }) {
    this.interface = parts.interface;
    this.queues = parts.workers.map(({ queue }) => queue);
    this.mode = parts.mode;
    this.buffer = parts.buffer;
    this.#workers = parts.workers;
    this.#graceMilliseconds = parts.graceMilliseconds;
    this.#undo = parts.undo;
  }

  /**
   * What the functions returned, in the order of the queues; rejects with the first error, when one of them fails or its thread
   * ends. The others go on until `close`.
   */
  results(): Promise<unknown[]> {
    return Promise.all(this.#workers.map((worker) => worker.result));
  }

  /** What each queue's socket has counted, also while its thread is busy. */
  async statistics(): Promise<QueueCounters[]> {
    return Promise.all(this.#workers.map(async (worker) => ({ queue: worker.queue, ...(await worker.statistics()) })));
  }

  /**
   * Ends everything: tells the functions (`signal`, `stopping`, and their sockets' waits end), gives them time, then ends their threads and
   * closes what those left open. Frames that a thread held that had to be ended are lost to a buffer that outlives it. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= closeAll(this.#workers, this.#graceMilliseconds).then(this.#undo);
    return this.#closing;
  }

  /** `await using`: {@link RunningQueues.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens one socket per queue of an interface, over one packet buffer, each on a thread of its own: all, or none and an error. Then runs
 * the function that a module exports with each of them.
 *
 * @throws PacketError NO_QUEUE, INVALID_OPTION (the module has no function; options or data are not plain), MODE_UNSUPPORTED (a soft
 *   kernel that is not threaded), and as `openSocket`
 */
export async function runQueues(options: RunQueuesOptions): Promise<RunningQueues> {
  const found = await findKernel(options, (soft) => new ThreadedSoftKernel({ ...soft, host: nodeThreads() }));
  try {
    return await start(options, found);
  } catch (error) {
    await found.release?.();
    throw error;
  }
}

async function start(options: RunQueuesOptions, found: FoundInterface): Promise<RunningQueues> {
  const { module, data, queues: _, buffer: wanted, kernel: __, ...others } = options;
  const { threadBytes = THREAD_BYTES, graceMilliseconds = GRACE_MILLISECONDS, ...common } = others;
  const { kernel, release } = found;
  if (!(module instanceof URL)) {
    throw new PacketError('INVALID_OPTION', `module: ${String(module)} is not a URL`, {
      remedy: "new URL('./worker.js', import.meta.url)",
    });
  }
  checkInteger('threadBytes', threadBytes, PAGE_BYTES, MAXIMUM_ARENA_BYTES);
  checkInteger('graceMilliseconds', graceMilliseconds, 0, LONGEST_GRACE_MILLISECONDS);
  const queues = chooseQueues(options, await findInterface(kernel, found.interface));
  const { buffer, owns } = makeQueueBuffer(wanted, { kernel }, queues.length);
  const workers: QueueWorker[] = [];
  const undo = async (): Promise<void> => {
    if (owns) buffer.close();
    else buffer.drop();
    await release?.();
  };
  if (!owns) buffer.retain();
  try {
    for (const queue of queues) {
      const place = { kernel, buffer, bytes: threadBytes };
      workers.push(QueueWorker.start({ module: module.href, queue, data }, place));
    }
    const plain: PlainSocketOptions = { ...common, interface: found.interface };
    const mode = await openAll(workers, plain);
    for (const worker of workers) worker.run();
    return new RunningQueues({
      interface: found.interface,
      workers,
      mode,
      buffer,
      graceMilliseconds,
      undo,
    });
  } catch (error) {
    await closeAll(workers, GRACE_MILLISECONDS);
    if (owns) buffer.close();
    else buffer.drop();
    throw error;
  }
}

/** The first queue finds the mode, the others demand the same. */
async function openAll([first, ...others]: readonly QueueWorker[], options: PlainSocketOptions): Promise<SocketMode> {
  const mode = await first!.open(options);
  await Promise.all(others.map((worker) => worker.open({ ...options, mode: mode.got })));
  return mode;
}

async function closeAll(workers: readonly QueueWorker[], graceMilliseconds: number): Promise<void> {
  await Promise.all(workers.map((worker) => worker.close(graceMilliseconds)));
}
