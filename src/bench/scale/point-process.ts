import { measure } from './measure.js';
import { measurePasses, type Passes } from './passes.js';
import type { ScalePoint, ScaleSettings } from './point.js';

// The process of one point: `node point-process.js TASK`, the task as JSON. Writes a ScaleMeasurement, or what `passes` measures.

/** A point, or the number of passes. */
export type PointTask = { readonly settings: ScaleSettings } & (
  | { readonly point: ScalePoint }
  | { readonly passes: Passes }
);

const task = JSON.parse(process.argv[2]!) as PointTask;
const measurement =
  'point' in task ? await measure(task.point, task.settings) : measurePasses(task.passes, task.settings);
process.stdout.write(`${JSON.stringify(measurement)}\n`);
process.exit();
