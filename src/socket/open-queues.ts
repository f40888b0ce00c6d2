import { checkInteger, PacketError } from '../errors.js';
import type { InterfaceInfo, Mode } from '../kernel/contract.js';
import { PacketBuffer, type PacketBufferOptions } from '../packet-buffer/packet-buffer.js';
import { findInterface, type OpenSocketOptions, openSocket } from './open-socket.js';
import type { PacketSocket, SocketStatistics } from './packet-socket.js';

/** What a program asks for that wants several queues of one interface at once. */
export interface OpenQueuesOptions extends Omit<OpenSocketOptions, 'queue'> {
  /** Which queues; default `'all'`: every queue on which packets may arrive (a sender: through which they can leave). */
  readonly queues?: 'all' | readonly number[];
}

/** What one queue's socket has counted. */
export interface QueueStatistics extends SocketStatistics {
  /** Number of the queue, from 0. */
  readonly queue: number;
}

/** Sockets of several queues of one interface, over one packet buffer, in one mode. */
export class QueueSockets {
  /** Name of the interface. */
  readonly interface: string;
  /** One socket a queue, in the order of the queues. */
  readonly sockets: readonly PacketSocket[];
  /** The frames of all of them: what one has received another sends without a copy. Closed with them if it was made for them. */
  readonly buffer: PacketBuffer;
  readonly #ownsBuffer: boolean;
  readonly #onClose: (() => Promise<void>) | undefined;

  /** @internal use `openQueues` */
  constructor(
    sockets: readonly PacketSocket[],
    buffer: PacketBuffer,
    ownsBuffer: boolean,
    onClose?: () => Promise<void>,
  ) {
    this.interface = sockets[0]!.interface;
    this.sockets = sockets;
    this.buffer = buffer;
    this.#ownsBuffer = ownsBuffer;
    this.#onClose = onClose;
  }

  /** The mode that all of them are in; `sockets[0].mode` says why not in a better one. */
  get mode(): Mode {
    return this.sockets[0]!.mode.got;
  }

  /** What each queue has counted. @throws PacketError SOCKET_CLOSED */
  async statistics(): Promise<QueueStatistics[]> {
    return Promise.all(
      this.sockets.map(async (socket) => ({ queue: socket.queue ?? 0, ...(await socket.statistics()) })),
    );
  }

  /** Closes every socket, and the packet buffer if it was made for them. Idempotent. */
  async close(): Promise<void> {
    for (const socket of this.sockets) await socket.close();
    if (this.#ownsBuffer) this.buffer.close();
    await this.#onClose?.();
  }

  /** `await using`: {@link QueueSockets.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens one socket per queue of an interface, over one packet buffer: all of them, or none and an error. The first queue finds the
 * mode, the others demand the same.
 *
 * @param onClose called when all have been closed, for what they alone have used
 * @throws PacketError NO_QUEUE, INVALID_OPTION, and as `openSocket`
 */
export async function openQueues(options: OpenQueuesOptions, onClose?: () => Promise<void>): Promise<QueueSockets> {
  const { queues: _, ...common } = options;
  const info = await findInterface(options.kernel, options.interface);
  const queues = chooseQueues(options, info);
  const { buffer, owns } = makeQueueBuffer(options.buffer, options, queues.length);
  const sockets: PacketSocket[] = [];
  try {
    for (const queue of queues) {
      const mode = sockets[0]?.mode.got ?? options.mode;
      sockets.push(await openSocket({ ...common, buffer, queue, ...(mode !== undefined && { mode }) }));
    }
    return new QueueSockets(sockets, buffer, owns, onClose);
  } catch (error) {
    for (const socket of sockets) await socket.close();
    if (owns) buffer.close();
    throw error;
  }
}

/** The queues meant. @throws PacketError NO_QUEUE, INVALID_OPTION */
export function chooseQueues(
  { queues = 'all', receive }: Pick<OpenQueuesOptions, 'queues' | 'receive'>,
  info: InterfaceInfo,
): readonly number[] {
  if (queues === 'all') {
    const count = (receive === 'none' ? info.transmitQueues : info.receiveQueues) ?? info.queues;
    return Array.from({ length: count }, (_, queue) => queue);
  }
  if (!Array.isArray(queues) || queues.length === 0) {
    throw new PacketError('INVALID_OPTION', `queues: ${String(queues)} is neither 'all' nor a list of queues`, {
      remedy: 'for example queues: [0, 1]; leave it out for all',
    });
  }
  for (const queue of queues) checkInteger('queues', queue, 0, 65535);
  const missing = queues.find((queue) => queue >= info.queues);
  if (missing !== undefined) {
    throw new PacketError('NO_QUEUE', `queue ${missing} does not exist on ${info.name}, which has ${info.queues}`, {
      remedy: `queues: 0 to ${info.queues - 1}`,
    });
  }
  if (new Set(queues).size < queues.length) {
    throw new PacketError('INVALID_OPTION', `queues: ${queues.join(', ')} names a queue twice`, {
      remedy: 'name each once: a socket per queue is opened',
    });
  }
  return [...queues];
}

/** One buffer for all: the given one, or by default as many frames as one socket would have, for each of them. */
export function makeQueueBuffer(
  buffer: PacketBuffer | PacketBufferOptions | undefined,
  { kernel }: Pick<OpenQueuesOptions, 'kernel'>,
  queues: number,
): { buffer: PacketBuffer; owns: boolean } {
  if (buffer instanceof PacketBuffer) return { buffer, owns: false };
  const frames = Math.min(FRAMES_PER_QUEUE * queues, MOST_FRAMES);
  return { buffer: PacketBuffer.create({ arena: kernel.arena, frames, ...buffer }), owns: true };
}

const FRAMES_PER_QUEUE = 4096;
const MOST_FRAMES = 2 ** 17;
