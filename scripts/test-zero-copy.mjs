// Tests real driver zero-copy, which no veth pair has: `npm run test:zero-copy`. A throw-away virtual machine (QEMU in software
// emulation; no KVM, no root) with two network cards joined back to back runs the conformance suite, a checked exchange and what
// belongs to drivers in mode xdp-zc, once for each kind of card. Packages of Debian are fetched into a cache folder by the first run.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { kernelFile, kernelRelease, writeImage } from './zero-copy/image.mjs';
import { CARDS, runMachine } from './zero-copy/machine.mjs';
import { CannotRun, checkTools, Packages } from './zero-copy/packages.mjs';

const HELP = `npm run test:zero-copy [-- FLAGS]

  --card NAME      ${Object.keys(CARDS).join(' or ')}; several times; default: all
  --kernel X.Y     Debian kernel to boot; default: the newest that was fetched, or else that there is ("latest")
  --test FILE      compiled test to run, from the project's folder; several times; default: all of dist/test/zero-copy
  --seconds N      longest life of a machine; default: 300
  --cache FOLDER   where packages are unpacked; default: TP4_ZERO_COPY_CACHE, or ~/.cache/tpacket4/zero-copy
  --verbose        shows what the kernel says, too
  --help           shows this

Exit code: 0 all tests passed on all cards; 1 some did not; 2 they could not be run, and why; 130 interrupted.
`;
const TESTS = ['conformance', 'exchange', 'driver', 'checksums', 'devices', 'programs', 'flow-director'].map(
  (name) => `dist/test/zero-copy/${name}.js`,
);

/** What stands in the machine's exit code. */
const FAILED = 1;
const NOT_RUN = 2;
const INTERRUPTED = 130;

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => interruption.abort());
try {
  const flags = readFlags();
  if (flags.help) console.log(HELP);
  else process.exitCode = await testCards(flags);
} catch (error) {
  if (!(error instanceof CannotRun)) throw error;
  console.error(`zero-copy: ${error.message}`);
  process.exitCode = NOT_RUN;
}

/** @throws CannotRun for flags that there are not */
function readFlags() {
  const options = {
    card: { type: 'string', multiple: true, default: Object.keys(CARDS) },
    kernel: { type: 'string', default: 'latest' },
    test: { type: 'string', multiple: true, default: TESTS },
    seconds: { type: 'string', default: '300' },
    cache: { type: 'string', default: process.env.TP4_ZERO_COPY_CACHE ?? defaultCache() },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  };
  let flags;
  try {
    flags = parseArgs({ options }).values;
  } catch (error) {
    throw new CannotRun(`${error.message}\n\n${HELP}`);
  }
  const unknown = flags.card.find((card) => !Object.hasOwn(CARDS, card));
  if (unknown !== undefined) throw new CannotRun(`--card ${unknown}: is one of ${Object.keys(CARDS).join(', ')}`);
  if (!/^(latest|\d+\.\d+(\.\d+)?)$/.test(flags.kernel))
    throw new CannotRun(`--kernel ${flags.kernel}: is like 6.18, or latest`);
  if (!/^[1-9]\d{0,4}$/.test(flags.seconds)) throw new CannotRun(`--seconds ${flags.seconds}: is a number of seconds`);
  return flags;
}

/** @returns the exit code */
async function testCards({ card: cards, kernel: wanted, test: tests, seconds, cache, verbose }) {
  checkTools();
  mkdirSync(cache, { recursive: true });
  const packages = new Packages(cache);
  const machine = packages.machine();
  const kernel = packages.kernel(wanted);
  const folder = mkdtempSync(join(tmpdir(), 'tp4-zero-copy-'));
  try {
    const image = join(folder, 'image');
    writeImage(image, { kernel, machine, tests });
    const verdicts = [];
    for (const card of cards) {
      const name = `${card}, Linux ${kernelRelease(kernel)}`;
      console.log(`zero-copy: ${name}: booting; at most ${seconds} s`);
      const started = performance.now();
      const {
        ended,
        passed,
        console: words,
      } = await runMachine({
        ...{ machine, kernel: kernelFile(kernel), image, card, folder },
        ...{ seconds: Number(seconds), interruption: interruption.signal },
      });
      if (interruption.signal.aborted) return INTERRUPTED;
      if (verbose || ended !== undefined) console.log(words);
      const verdict = passed ? 'passed' : ended === undefined ? 'FAILED' : `FAILED: ${ended}`;
      verdicts.push({ passed, line: `${name}: ${verdict} (${Math.round((performance.now() - started) / 1000)} s)` });
      console.log(`zero-copy: ${verdicts.at(-1).line}\n`);
    }
    if (cards.length > 1) for (const { line } of verdicts) console.log(`zero-copy: ${line}`);
    return verdicts.every(({ passed }) => passed) ? 0 : FAILED;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function defaultCache() {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tpacket4', 'zero-copy');
}
