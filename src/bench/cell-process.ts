import { PacketError } from '../errors.js';
import type { Cell } from './cell.js';
import { measure } from './measure.js';
import { BEGAN, type CellReport } from './run-cell.js';

// The process of one cell, so that no cell is measured with code that another one has compiled: `node cell-process.js CELL`, the
// cell as JSON. Writes "began" when the warm-up is over, and at the end a CellReport as JSON.

async function report(cell: Cell): Promise<CellReport> {
  try {
    return { measurement: await measure(cell, () => void process.stdout.write(`${BEGAN}\n`)) };
  } catch (error) {
    if (error instanceof PacketError) return { refused: error.toJSON() };
    throw error;
  }
}

process.stdout.write(`${JSON.stringify(await report(JSON.parse(process.argv[2]!) as Cell))}\n`);
