import type { XdpCase } from './case.js';
import { measure } from './measure.js';

// The process of one case: `node case-process.js CASE`, the case as JSON. Writes an XdpMeasurement as JSON.

process.stdout.write(`${JSON.stringify(await measure(JSON.parse(process.argv[2]!) as XdpCase))}\n`);
process.exit();
