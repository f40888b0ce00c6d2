import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_SETTINGS } from '../bench/cell.js';
import { PROGRAM_NAMES } from '../bench/programs.js';
import { interruptible, runAndPrint } from './bench.js';

// `npm start`: the talk's table for generated traffic and for the capture that ships with the project, in about a minute.

const SECONDS = 0.2;
const WARM_UP_SECONDS = 0.3;

const capture = relative(process.cwd(), fileURLToPath(new URL('../../../captures/veth-mixed.pcap', import.meta.url)));
const traffic = [
  { interface: 'soft:generator', size: 64 },
  { interface: 'soft:generator', size: 1500 },
  ...(existsSync(capture) ? [{ interface: `soft:pcap=${capture}`, size: undefined }] : []),
];
const settings = { ...DEFAULT_SETTINGS, seconds: SECONDS, warmUpSeconds: WARM_UP_SECONDS };
const plan = { programs: PROGRAM_NAMES, versions: undefined, traffic, settings };
process.stdout.write(
  'What the talk compared, on this machine; it takes about a minute. Longer runs and other settings: tp4 bench --help\n\n',
);
process.exitCode = await interruptible((signal) =>
  runAndPrint(plan, { json: false, progress: process.stderr.isTTY === true }, signal),
);
