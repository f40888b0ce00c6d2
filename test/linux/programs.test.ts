import { test } from 'node:test';
import { reasonToSkip } from '../support/privileges.js';
import { runInside } from '../support/run-inside.js';

const skip = reasonToSkip() ?? false;

const inside = (name: string): URL => new URL(`inside/${name}.js`, import.meta.url);

test('maps of eBPF programs in Linux', { skip }, () => runInside(inside('program-maps')));
test('maps of the eBPF engine do what those of Linux do', { skip }, () => runInside(inside('engine-maps')));
test("user's XDP programs do in Linux what they do in the soft kernel", { skip }, () =>
  runInside(inside('program-conformance'), { together: true }),
);
test("user's XDP programs in Linux", { skip }, () => runInside(inside('programs'), { together: true }));
test("user's XDP programs in Linux redirect to sockets", { skip }, () =>
  runInside(inside('program-sockets'), { together: true, queues: 2 }),
);
test("user's XDP programs in Linux share maps with other loaders, and interfaces with nobody", { skip }, () =>
  runInside(inside('program-sharing'), { together: true }),
);
