import type { Mode } from '../../kernel/contract.js';
import { type HeapProgram, measureHeap } from './heap.js';

// The process of one heap measurement: `node --expose-gc heap-process.js TASK`. Writes a HeapMeasurement as JSON.

export interface HeapTask {
  readonly mode: Mode;
  readonly program: HeapProgram;
  readonly packets: number;
}

const { mode, program, packets } = JSON.parse(process.argv[2]!) as HeapTask;
process.stdout.write(`${JSON.stringify(await measureHeap(mode, program, packets))}\n`);
process.exit();
