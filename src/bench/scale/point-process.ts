import { measurePoint } from './measure.js';
import type { Point } from './point.js';

// The process of one point: `node point-process.js POINT`, the point as JSON. Writes a PointMeasurement as JSON.

process.stdout.write(`${JSON.stringify(await measurePoint(JSON.parse(process.argv[2]!) as Point))}\n`);
process.exit();
