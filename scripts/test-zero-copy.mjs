// Tests real driver zero-copy, which no veth pair has: `npm run test:zero-copy [-- --card virtio|igb] [-- --kernel X.Y]`. A throw-away
// virtual machine (QEMU in software emulation; no KVM, no root) with two network cards joined back to back runs the conformance suite and
// a checked exchange in mode xdp-zc, once for each kind of card. The first run fetches about 150 MB of Debian packages into a cache folder.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { kernelImage, writeImage } from './zero-copy/image.mjs';
import { CARDS, runMachine } from './zero-copy/machine.mjs';
import { CannotRun, checkTools, Packages } from './zero-copy/packages.mjs';

const TESTS = ['dist/test/zero-copy/conformance.js', 'dist/test/zero-copy/exchange.js'];
/** Longest life of one machine. */
const SECONDS = 170;

const { values } = parseArgs({
  options: {
    card: { type: 'string', multiple: true, default: Object.keys(CARDS) },
    kernel: { type: 'string', default: 'latest' },
    test: { type: 'string', multiple: true, default: TESTS },
    cache: { type: 'string', default: process.env.TP4_ZERO_COPY_CACHE ?? defaultCache() },
    verbose: { type: 'boolean', default: false },
  },
});
const unknown = values.card.find((card) => !Object.hasOwn(CARDS, card));
if (unknown !== undefined) fail(`--card ${unknown}: is one of ${Object.keys(CARDS).join(', ')}`);

const folder = mkdtempSync(join(tmpdir(), 'tp4-zero-copy-'));
try {
  checkTools();
  mkdirSync(values.cache, { recursive: true });
  const packages = new Packages(values.cache);
  const machine = packages.machine();
  const kernel = packages.kernel(values.kernel);
  const image = join(folder, 'image');
  writeImage(image, { kernel, machine, tests: values.test });
  for (const card of values.card) {
    const started = performance.now();
    const result = await runMachine({ machine, kernel: kernelImage(kernel), image, card, folder, seconds: SECONDS });
    const seconds = Math.round((performance.now() - started) / 1000);
    if (values.verbose || !result.passed) console.log(result.finished && !values.verbose ? '' : result.console);
    console.log(result.text);
    const verdict = result.passed ? 'passed' : result.finished ? 'FAILED' : `FAILED: ${result.ended}`;
    console.log(`zero-copy on ${card}, kernel ${values.kernel}: ${verdict} (${seconds} s)`);
    if (!result.passed) process.exitCode = 1;
  }
} catch (error) {
  if (!(error instanceof CannotRun)) throw error;
  fail(error.message);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function defaultCache() {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tpacket4', 'zero-copy');
}

function fail(message) {
  console.error(`zero-copy: ${message}`);
  process.exitCode = 1;
}
