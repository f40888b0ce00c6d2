import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { ArenaMemory } from '../../src/arena/arena.js';
import { Random } from '../support/random.js';
import { Adversary, type AdversaryMeans } from './adversary.js';

const SCRIBBLER = 'tp4-scribbler';
/** Bursts between looks at the messages. */
const BURSTS = 100;

/** An adversary on a thread of its own: it writes while the kernel reads. */
export class Scribbler {
  readonly #worker: Worker;

  constructor(memory: ArenaMemory, seed: number) {
    this.#worker = new Worker(new URL(import.meta.url), { argv: [SCRIBBLER], workerData: { memory, seed } });
  }

  start(means: AdversaryMeans): void {
    this.#worker.postMessage(means);
  }

  /** When it returns, nothing is written any more. */
  async stop(): Promise<void> {
    const stopped = new Promise((resolve) => this.#worker.once('message', resolve));
    this.#worker.postMessage('stop');
    await stopped;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

function scribble(): void {
  const { memory, seed } = workerData as { memory: ArenaMemory; seed: number };
  const i32 = new Int32Array(memory.buffer);
  const random = new Random(seed);
  let adversary: Adversary | undefined;
  const work = () => {
    if (adversary === undefined) return;
    for (let i = 0; i < BURSTS; i++) adversary.attack();
    setImmediate(work);
  };
  parentPort!.on('message', (message: AdversaryMeans | 'stop') => {
    if (message === 'stop') {
      adversary = undefined;
      parentPort!.postMessage('stopped');
    } else {
      adversary = new Adversary(i32, random, message);
      setImmediate(work);
    }
  });
}

if (!isMainThread && process.argv.includes(SCRIBBLER)) scribble();
