import { Worker } from 'node:worker_threads';
import type { ArenaShare } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import type { Kernel, KernelStatistics } from '../../kernel/contract.js';
import type { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import type { SocketMode } from '../../socket/packet-socket.js';
import { KernelService } from './kernel-service.js';
import type { FromThread, PlainSocketOptions, QueueStart, ToThread } from './protocol.js';
import { QUEUE_THREAD } from './queue-thread.js';
import { unpackError } from './thread-error.js';

/** Where a queue's thread works. */
export interface QueuePlace {
  readonly kernel: Kernel;
  readonly buffer: PacketBuffer;
  /** Bytes of the arena that the thread gets. */
  readonly bytes: number;
}

/** One queue's thread, seen from the thread that started it. */
export class QueueWorker {
  readonly queue: number;
  /** What the program's function returned. */
  readonly result: Promise<unknown>;
  readonly #worker: Worker;
  readonly #service: KernelService;
  readonly #place: QueuePlace;
  readonly #share: ArenaShare;
  readonly #stop: Int32Array;
  readonly #opened = deferred<SocketMode>();
  readonly #finished = deferred<unknown>();
  readonly #exited = deferred<void>();

  private constructor(worker: Worker, start: QueueStart, place: QueuePlace) {
    this.queue = start.queue;
    this.result = this.#finished.promise;
    this.#worker = worker;
    this.#place = place;
    this.#share = start.arena;
    this.#stop = new Int32Array(start.stop);
    this.#service = new KernelService(place.kernel);
    // Whoever asks for them gets the errors; nobody must.
    for (const { promise } of [this.#opened, this.#finished]) promise.catch(() => {});
    worker.on('message', (message: FromThread) => void this.#receive(message));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => {
      this.#fail(new Error(`the thread of queue ${this.queue} has ended (${code})`));
      this.#exited.resolve();
    });
  }

  /** @throws PacketError INVALID_OPTION when the data is not plain, ARENA_EXHAUSTED */
  static start(program: Pick<QueueStart, 'module' | 'queue' | 'data'>, place: QueuePlace): QueueWorker {
    const { kernel, buffer } = place;
    const arena = kernel.arena.share(place.bytes);
    const stop = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const start: QueueStart = { ...program, arena, buffer: buffer.share(), kernel: kernel.name, stop };
    try {
      const thread = new URL('./queue-thread.js', import.meta.url);
      const name = `${QUEUE_THREAD}-${program.queue}`;
      return new QueueWorker(new Worker(thread, { name, argv: [QUEUE_THREAD], workerData: start }), start, place);
    } catch (cause) {
      kernel.arena.free(arena.region);
      throw new PacketError('INVALID_OPTION', 'data: it is not plain data', {
        cause,
        remedy:
          'functions, kernels and sockets stay on their thread: give numbers, texts, lists, objects and shared memory',
      });
    }
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  async #receive(message: FromThread): Promise<void> {
    switch (message.kind) {
      case 'call':
        this.#post({ kind: 'answer', id: message.id, ...(await this.#service.answer(message)) });
        break;
      case 'opened':
        this.#opened.resolve(message.mode);
        break;
      case 'result':
        this.#finished.resolve(message.result);
        await this.#worker.terminate();
        break;
      case 'error':
        this.#fail(unpackError(message.error));
        await this.#worker.terminate();
    }
  }

  #fail(error: unknown): void {
    this.#opened.reject(error);
    this.#finished.reject(error);
  }

  /** Opens the socket. @throws PacketError as `openSocket`, INVALID_OPTION */
  async open(options: PlainSocketOptions): Promise<SocketMode> {
    try {
      this.#post({ kind: 'open', options });
    } catch (cause) {
      throw new PacketError('INVALID_OPTION', 'options: for threads they must be plain data', {
        cause,
        remedy:
          'functions, kernels and sockets stay on their thread: give numbers, texts, lists, objects and shared memory',
      });
    }
    return this.#opened.promise;
  }

  /** Runs the program's function. */
  run(): void {
    this.#post({ kind: 'run' });
  }

  statistics(): Promise<KernelStatistics> {
    return this.#service.statistics();
  }

  /** Stops the thread, at last by force, and closes what it has left open. */
  async close(graceMilliseconds: number): Promise<void> {
    Atomics.store(this.#stop, 0, 1);
    this.#post({ kind: 'stop' });
    const timer = setTimeout(() => void this.#worker.terminate(), graceMilliseconds);
    await this.#exited.promise;
    clearTimeout(timer);
    await this.#service.close();
    this.#place.kernel.arena.free(this.#share.region);
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
