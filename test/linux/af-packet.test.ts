import { test } from 'node:test';
import { reasonToSkip } from '../support/privileges.js';
import { runInside } from '../support/run-inside.js';

const skip = reasonToSkip() ?? false;
const inside = (name: string): URL => new URL(`inside/${name}.js`, import.meta.url);

test('V2 and V3 sockets move packets over a veth pair', { skip }, () => runInside(inside('packet-traffic')));
test('V2 and V3 sockets wait without spinning, and are told of an interface that fails', { skip }, () =>
  runInside(inside('packet-waiting')),
);
test('V2 and V3 sockets share an interface, with the stack and with each other', { skip }, () =>
  runInside(inside('packet-sharing')),
);
test('V2 and V3 sockets divide the queues of an interface among them', { skip }, () =>
  runInside(inside('packet-queues'), { queues: 2 }),
);
test('what V2 and V3 refuse is a typed error that names the remedy; nothing is left behind', { skip }, () =>
  runInside(inside('packet-refusals')),
);
