import { isMainThread, Worker, workerData } from 'node:worker_threads';
import type { Mode } from '../../src/kernel/contract.js';
import { PacketBuffer, type PacketBufferShare } from '../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import { openSocket } from '../../src/socket/open-socket.js';
import { JoinedSoftKernel } from '../../src/soft-kernel/thread/joined-kernel.js';
import type { KernelClient } from '../../src/soft-kernel/thread/kernel-client.js';
import type { KernelShare } from '../../src/soft-kernel/thread/protocol.js';

const JOINED_WORKER = 'tp4-joined-worker';
const ARENA_BYTES = 2 ** 21;

// What both threads look at, in words.
const STATE = 0;
const HANDLED = 1;
const STOP = 2;

const OPEN = 1;
const DONE = 2;

/** What a worker is to do. */
export interface JoinedWork {
  readonly interface: string;
  readonly queue: number;
  readonly mode: Mode;
  /** UDP destination port of its packets. */
  readonly port: number;
  readonly program: 'rxdrop' | 'forward';
  /** A packet buffer to use with others; default one of its own. */
  readonly buffer?: PacketBufferShare;
}

interface WorkerMeans extends JoinedWork {
  readonly share: KernelShare;
  readonly words: SharedArrayBuffer;
}

/** An application thread that joins a kernel and works there. */
export class JoinedWorker {
  readonly #words: Int32Array;
  readonly #worker: Worker;
  readonly #ended: Promise<unknown>;
  #failure: Error | undefined;

  private constructor(
    private readonly share: KernelShare,
    private readonly kernel: KernelClient,
    work: JoinedWork,
  ) {
    const words = new SharedArrayBuffer(64);
    this.#words = new Int32Array(words);
    this.#worker = new Worker(new URL(import.meta.url), {
      argv: [JOINED_WORKER],
      workerData: { ...work, share, words },
      transferList: [share.port as never],
    });
    this.#worker.on('error', (error) => {
      this.#failure = error as Error;
    });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', resolve));
  }

  static async start(kernel: KernelClient, work: JoinedWork): Promise<JoinedWorker> {
    return new JoinedWorker(await kernel.share(ARENA_BYTES), kernel, work);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  get open(): boolean {
    this.#check();
    return Atomics.load(this.#words, STATE) === OPEN;
  }

  /** Packets received, or sent back. */
  get handled(): number {
    this.#check();
    return Atomics.load(this.#words, HANDLED);
  }

  /** Lets it close its socket and kernel, and end. Returns whether it did so by itself. */
  async stop(): Promise<boolean> {
    Atomics.store(this.#words, STOP, 1);
    await this.#ended;
    this.#check();
    this.kernel.arena.free(this.share.arena.region);
    return Atomics.load(this.#words, STATE) === DONE;
  }

  /** Ends it where it stands. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}

async function work(): Promise<void> {
  const { share, words, interface: name, queue, mode, port, program, buffer } = workerData as WorkerMeans;
  const shared = new Int32Array(words);
  const kernel = new JoinedSoftKernel(share);
  const socket = await openSocket({
    kernel,
    interface: name,
    queue,
    mode,
    receive: [{ protocol: 'udp', destinationPort: port }],
    ring: 256,
    buffer: buffer === undefined ? { frames: 512 } : PacketBuffer.attach(buffer, kernel.arena),
  });
  const batch = new PacketBatch(32);
  let received = 0;
  Atomics.store(shared, STATE, OPEN);
  while (Atomics.load(shared, STOP) === 0) {
    if (socket.receive(batch) === 0) {
      await socket.wait({ timeoutMilliseconds: 20 });
      continue;
    }
    received += batch.length;
    while (program === 'forward' && batch.length > 0) socket.send(batch);
    socket.release(batch);
    Atomics.store(shared, HANDLED, received);
  }
  const { kernelReceived } = await socket.statistics();
  await socket.close();
  await kernel.close();
  if (kernelReceived === received) Atomics.store(shared, STATE, DONE);
}

if (!isMainThread && process.argv.includes(JOINED_WORKER)) await work();
