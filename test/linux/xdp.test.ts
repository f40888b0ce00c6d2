import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { reasonToSkip } from '../support/privileges.js';
import { runInside } from '../support/run-inside.js';
import { testNamespaces, type VethPairOptions } from '../support/veth-pair.js';

const skip = reasonToSkip() ?? false;

const run = (script: string, options: VethPairOptions = {}): Promise<void> =>
  runInside(fileURLToPath(new URL(script, import.meta.url)), options);

test('AF_XDP sockets move packets over a veth pair', { skip }, () => run('inside/traffic.js'));
test('AF_XDP sockets wait without blocking the event loop, and blocking', { skip }, () => run('inside/waiting.js'));
test('what AF_XDP refuses is a typed error that names the remedy', { skip }, () => run('inside/refusals.js'));
test('AF_XDP sockets leave nothing behind', { skip }, () => run('inside/clean-up.js'));
test('AF_XDP sockets of several queues share one packet buffer', { skip }, () =>
  run('inside/sharing.js', { queues: 2 }),
);
test('AF_XDP sockets receive by rules, and the rest goes through the stack', { skip }, () =>
  run('inside/rules.js', { queues: 2 }),
);
test("rules are the same to the kernel's programs and filters and to the soft kernel", { skip }, () =>
  run('inside/rule-programs.js', { queues: 2 }),
);

test('no namespace of this process is left', { skip }, () => {
  assert.deepEqual(
    testNamespaces().filter((name) => name.startsWith(`tp4t${process.pid}x`)),
    [],
  );
});

test('privileged tests run wherever they could', () => {
  // A machine with root, Linux and iproute2 has no reason to skip; anything else must name one.
  const couldRun = process.platform === 'linux' && process.getuid?.() === 0;
  if (!couldRun) assert.match(String(skip), /needs/);
  else if (skip !== false) assert.match(skip, /missing|iproute2/);
});
