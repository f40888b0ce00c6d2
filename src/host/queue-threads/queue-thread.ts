// The thread of one queue: opens its socket on the other thread's kernel, runs the program's function with it, reports.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { Arena } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import { openSocket } from '../../socket/open-socket.js';
import type { PacketSocket } from '../../socket/packet-socket.js';
import type { QueueContext, QueueProgram } from '../run-queues.js';
import type { FromThread, PlainSocketOptions, QueueStart, ToThread } from './protocol.js';
import { RemoteKernel } from './remote-kernel.js';
import { packError, unpackError } from './thread-error.js';

/** In the `argv` of the worker, so that importing this file elsewhere does nothing. */
export const QUEUE_THREAD = 'tp4-queue';

type Port = NonNullable<typeof parentPort>;

class QueueThread {
  readonly #port: Port;
  readonly #start: QueueStart;
  readonly #stop: Int32Array;
  readonly #aborted = new AbortController();
  readonly #calls = new Map<number, { resolve: (result: never) => void; reject: (error: unknown) => void }>();
  #nextCall = 0;
  #program: QueueProgram | undefined;
  #socket: PacketSocket | undefined;
  /** A step of the thread is under way that will report. */
  #running = false;

  constructor(port: Port, start: QueueStart) {
    this.#port = port;
    this.#start = start;
    this.#stop = new Int32Array(start.stop);
    port.on('message', (message: ToThread) => this.#receive(message));
  }

  #receive(message: ToThread): void {
    switch (message.kind) {
      case 'open':
        void this.#report(() => this.#open(message.options));
        break;
      case 'run':
        void this.#report(() => this.#run());
        break;
      case 'stop':
        void this.#end();
        break;
      case 'answer': {
        const call = this.#calls.get(message.id);
        this.#calls.delete(message.id);
        if ('error' in message) call?.reject(unpackError(message.error));
        else call?.resolve(message.result as never);
      }
    }
  }

  #post(message: FromThread): void {
    this.#port.postMessage(message);
  }

  async #report(work: () => Promise<FromThread>): Promise<void> {
    this.#running = true;
    try {
      this.#post(await work());
      this.#running = false;
      if (this.#stopping()) await this.#end();
    } catch (error) {
      await this.#socket?.close();
      this.#post({ kind: 'error', error: packError(error) });
    }
  }

  /** Its waits end, and loops over its packets; a program that runs says itself when it is done. */
  async #end(): Promise<void> {
    this.#aborted.abort();
    await this.#socket?.close();
    if (!this.#running) this.#post({ kind: 'result', result: undefined });
  }

  #stopping(): boolean {
    return Atomics.load(this.#stop, 0) !== 0;
  }

  async #open(options: PlainSocketOptions): Promise<FromThread> {
    const { module, arena: share, buffer, kernel: name, queue } = this.#start;
    const exports = (await import(module)) as { default?: unknown };
    if (typeof exports.default !== 'function') {
      throw new PacketError('INVALID_OPTION', `module: ${module} has no function as its default export`, {
        remedy: 'export default async (socket, context) => ...',
      });
    }
    this.#program = exports.default as QueueProgram;
    const arena = Arena.adopt(share);
    const kernel = new RemoteKernel(
      name,
      arena,
      (socket, method, ...args) => this.#call(socket, method, args),
      () => this.#stopping(),
    );
    this.#socket = await openSocket({ ...options, queue, kernel, buffer: PacketBuffer.attach(buffer, arena) });
    return { kind: 'opened', mode: this.#socket.mode };
  }

  async #run(): Promise<FromThread> {
    const { queue, data } = this.#start;
    const stop = this.#stop;
    const context: QueueContext = {
      queue,
      data,
      signal: this.#aborted.signal,
      get stopping() {
        return Atomics.load(stop, 0) !== 0;
      },
    };
    const result = await this.#program!(this.#socket!, context);
    await this.#socket!.close();
    return { kind: 'result', result };
  }

  #call<Result>(socket: number | undefined, method: string, args: readonly unknown[]): Promise<Result> {
    return new Promise((resolve, reject) => {
      const id = this.#nextCall++;
      this.#calls.set(id, { resolve, reject });
      this.#post({ kind: 'call', id, socket, method, args });
    });
  }
}

if (!isMainThread && parentPort !== null && process.argv.includes(QUEUE_THREAD)) {
  new QueueThread(parentPort, workerData as QueueStart);
}
