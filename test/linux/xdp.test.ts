import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reasonToSkip } from '../support/privileges.js';
import { runInside } from '../support/run-inside.js';
import { testNamespaces } from '../support/veth-pair.js';

const skip = reasonToSkip() ?? false;

const inside = (name: string): URL => new URL(`inside/${name}.js`, import.meta.url);

test('AF_XDP sockets move packets over a veth pair', { skip }, () => runInside(inside('traffic')));
test('AF_XDP sockets wait without blocking the event loop, and blocking', { skip }, () => runInside(inside('waiting')));
test('what AF_XDP refuses is a typed error that names the remedy', { skip }, () => runInside(inside('refusals')));
test('AF_XDP sockets leave nothing behind', { skip }, () => runInside(inside('clean-up')));
test('AF_XDP sockets poll the device where they are asked to', { skip }, () => runInside(inside('busy-poll')));
test('AF_XDP sockets of several queues share one packet buffer', { skip }, () =>
  runInside(inside('sharing'), { queues: 2 }),
);
test('AF_XDP sockets receive by rules, and the rest goes through the stack', { skip }, () =>
  runInside(inside('rules'), { queues: 2 }),
);
test("rules become entries of a device's flow director", { skip }, () =>
  runInside(inside('flow-director'), { queues: 2 }),
);
test('rules pick packets of several frames', { skip }, () => runInside(inside('rule-segments'), { mtu: 9000 }));
test("rules are the same to the kernel's programs and filters and to the soft kernel", { skip }, () =>
  runInside(inside('rule-programs'), { queues: 2 }),
);
test('all queues of an interface are opened at once, on one thread or a thread each', { skip }, () =>
  runInside(inside('queues'), { queues: 2 }),
);
test('a packet buffer is handed to a child process', { skip }, () => runInside(inside('shared-buffer'), { queues: 2 }));
test('AF_XDP sockets cut off no ssh session', { skip }, () => runInside(inside('guard')));
test('AF_XDP sockets survive the end of their namespaces', { skip }, () => runInside(inside('namespace')));
test('AF_XDP tells when packets were sent', { skip }, () => runInside(inside('transmit-times')));
test('AF_XDP fills in checksums of sent packets', { skip }, () => runInside(inside('checksums')));

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
