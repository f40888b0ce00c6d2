import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { reasonToSkip } from '../support/privileges.js';
import { runInside } from '../support/run-inside.js';

const skip = reasonToSkip() ?? false;

test('eBPF programs do the same in interpreter, compiler and Linux', { skip }, () =>
  runInside(new URL('inside/ebpf-engines.js', import.meta.url)),
);

test('the verifier refuses what Linux refuses, and accepts what Linux accepts', { skip }, () =>
  runInside(new URL('inside/ebpf-verifier.js', import.meta.url)),
);

test('eBPF objects are read as libbpf, bpftool and Linux read them', { skip: skip || reasonToSkipObjects() }, () =>
  runInside(new URL('inside/ebpf-objects.js', import.meta.url)),
);

test('eBPF instructions are written as Linux writes them', { skip }, () =>
  runInside(new URL('inside/ebpf-text.js', import.meta.url)),
);

test('tp4 xdp shows the same of the engine and of Linux', { skip }, () =>
  runInside(new URL('inside/xdp-command.js', import.meta.url)),
);

test('filters do the same as eBPF in Linux', { skip }, () => runInside(new URL('inside/filters.js', import.meta.url)));

test('objects of clang run from the command line and in Linux', { skip: skip || reasonToSkipObjects() }, () =>
  runInside(new URL('inside/xdp-objects.js', import.meta.url)),
);

/** Why objects cannot be compared with what others make of them, or false. */
function reasonToSkipObjects(): string | false {
  return spawnSync('bpftool', ['version']).error === undefined ? false : 'needs bpftool';
}
