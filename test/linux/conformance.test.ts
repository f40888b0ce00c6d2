import { test } from 'node:test';
import { reasonToSkip } from '../support/privileges.js';
import { runInside } from '../support/run-inside.js';

const skip = reasonToSkip() ?? false;

test('a Linux kernel does what the soft kernel does', { skip }, () =>
  runInside(new URL('inside/conformance.js', import.meta.url), { together: true }),
);
