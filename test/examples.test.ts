import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { reasonToSkip } from './support/privileges.js';

const SOURCES = fileURLToPath(new URL('../../examples/', import.meta.url));
const PROGRAMS = fileURLToPath(new URL('../examples/', import.meta.url));
const LONGEST = 60;

/** What each example must have said when it ends. */
const EXPECTED: Record<string, readonly RegExp[]> = {
  'receive.ts': [/mode xdp-copy\n {2}not xdp-zc: /, /^1: 124 bytes from 10\.0\.0\.1$/m, /^10: 124 bytes/m],
  'forward.ts': [/^soft0 \(xdp-zc\) to soft1 \(xdp-zc\)$/m, /^100000 packets forwarded, 0 of them copied$/m],
  'generate.ts': [/^soft:none \(xdp-zc\): 100000 packets in /m],
  'hold.ts': [
    /^4096 received, 4096 sent, 256 of them held back before$/m,
    /: 0 packets copied to send them, 0 out of the ring$/m,
  ],
  'hints.ts': [
    /^1: received at 1000 ns, hash [0-9a-f]{8} of kind 41\n2: /m,
    /^5: received at 1000 ns, hash [0-9a-f]{8} of kind 41$/m,
  ],
  'linux-program.ts': [/^verdict 2, \d+ ns a run, 100000 packets counted$/m],
  'outcomes.ts': [/^link up: 16 sent\nlink down: 0 sent, 16 failed with errno 100\nlink up: 16 sent$/m],
  'packet-arrays.ts': [
    /^5 frames are with the device\ndone in front of those outstanding: 0\n.*: 4; outstanding: 1$/m,
    /^packet of 60 bytes in 1 frame\(s\)\n {2}a frame with 60 bytes, errno 5$/m,
    /^packet of 2792 bytes in 2 frame\(s\)\n {2}a frame with 1792 bytes\n {2}a frame with 1000 bytes$/m,
    /^7 more frames are with the device, 8 in all$/m,
  ],
  'program-maps.ts': [/^10\.8\.0\.1: pass\n10\.9\.0\.1: drop\n10\.9\.0\.1 was dropped by rule 7\n10\.9\.0\.1: pass$/m],
  'queues.ts': [
    /^queues 0, 1 of soft0 \(xdp-zc\), a thread each$/m,
    /^queue 0: \d+ packets, /m,
    /^queue 1: \d+ packets, /m,
  ],
  'replay-capture.ts': [/^IPv4: \d+ packets, /m, /^IPv6: \d+ packets, /m, /^ARP: \d+ packets, /m],
  'run-program.ts': [/^verdicts: pass drop drop pass drop drop\nprotocol 6: 2 packets\nprotocol 17: 4 packets$/m],
  'threads.ts': [/^SoftKernel: \d+ packets, /m, /^ThreadedSoftKernel: \d+ packets, /m],
  'workers.ts': [/^queue 0 \(xdp-zc\): all packets forwarded$/m, /^queue 1 \(xdp-zc\): all packets forwarded$/m],
};

/** Those that need root and Linux. */
const PRIVILEGED: ReadonlySet<string> = new Set(['linux-program.ts']);

test('there is an expectation for every example', () => {
  const sources = readdirSync(SOURCES).filter((name) => name.endsWith('.ts'));
  assert.deepEqual(sources.sort(), Object.keys(EXPECTED).sort());
});

for (const [name, expected] of Object.entries(EXPECTED)) {
  const skip = PRIVILEGED.has(name) ? (reasonToSkip() ?? false) : false;
  test(`example ${name}`, { timeout: 60_000, skip }, async () => {
    const lines = readFileSync(join(SOURCES, name), 'utf8').trimEnd().split('\n');
    assert.ok(lines.length <= LONGEST, `${lines.length} lines: an example has at most ${LONGEST}`);
    const { status, output } = await run(join(PROGRAMS, name.replace(/\.ts$/, '.js')));
    assert.equal(status, 0, output);
    for (const pattern of expected) assert.match(output, pattern);
  });
}

for (const mode of ['v2', 'v3', 'v4']) {
  test(`example hold.ts in ${mode}, where packets lie ${mode === 'v4' ? 'in frames' : 'in the kernel’s ring'}`, {
    timeout: 60_000,
  }, async () => {
    const { status, output } = await run(join(PROGRAMS, 'hold.js'), mode);
    assert.equal(status, 0, output);
    assert.match(output, /^4096 received, 4096 sent, 256 of them held back before$/m);
  });
}

function run(program: string, ...args: string[]): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 50_000 });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
  });
}
