import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { readObject } from './read-object.js';

/*
 * What the objects of Debian's packages xdp-tools and libxdp1 have (1.3.1): programs with their slots, subprograms and lines of source, and
 * maps, each as `type name key/value/entries`. All are for GPL.
 */
const STATS = 'percpu_array xdp_stats_map 4/16/5';
const PORTS = 'percpu_array filter_ports 4/8/65536';
const IPV4 = 'percpu_hash filter_ipv4 4/8/10000';
const IPV6 = 'percpu_hash filter_ipv6 16/8/10000';
const ETHERNET = 'percpu_hash filter_ethernet 6/8/10000';
const SOCKETS = ['xskmap xsks_map 4/4/64', 'array xsk_def_.data 4/4/1'];
const DUMP = ['perf_event_array xdpdump_perf_map 4/4/256', 'array xdpdump_.data 4/12/1'];
const FILTERS: [string, number, number, string[]][] = [
  ['all', 437, 133, [STATS, PORTS, IPV4, IPV6, ETHERNET]],
  ['eth', 85, 26, [STATS, ETHERNET]],
  ['ip', 299, 93, [STATS, IPV4, IPV6]],
  ['tcp', 278, 87, [STATS, PORTS]],
  ['udp', 276, 85, [STATS, PORTS]],
];
const EXPECTED: Record<string, { programs: string[]; maps: string[]; others?: string[] }> = {
  'xdp-dispatcher.o': {
    programs: ['xdp_dispatcher 214/12/120', 'xdp_pass 2/1/1'],
    maps: ['array xdp_disp.rodata 4/124/1'],
  },
  'xdpdump_bpf.o': { programs: [], maps: DUMP, others: ['fentry/func trace_on_entry', 'fexit/func trace_on_exit'] },
  'xdpdump_xdp.o': { programs: ['xdpdump 35/1/22'], maps: DUMP },
  'xsk_def_xdp_prog.o': { programs: ['xsk_def_prog 11/1/6'], maps: SOCKETS },
  'xsk_def_xdp_prog_5.3.o': { programs: ['xsk_def_prog 23/1/10'], maps: SOCKETS },
};
for (const way of ['alw', 'dny']) {
  for (const [what, slots, lines, maps] of FILTERS) {
    const name = `xdpfilt_${way}_${what}`;
    EXPECTED[`${name}.o`] = { programs: [`${name} ${slots}/1/${lines}`], maps };
  }
}

/** Paths of the packages' objects; empty where they are not installed. */
function installedObjects(): string[] {
  const { stdout } = spawnSync('dpkg', ['-L', 'xdp-tools', 'libxdp1'], { encoding: 'utf8' });
  return (stdout ?? '').split('\n').filter((path) => path.endsWith('.o') && existsSync(path));
}

const paths = installedObjects();
const status = spawnSync('dpkg-query', ['-s', 'xdp-tools'], { encoding: 'utf8' }).stdout ?? '';
const isKnownVersion = /^Version: 1\.3\.1-/m.test(status);

test("all objects of Debian's xdp-tools and libxdp are read", { skip: paths.length === 0 && 'needs xdp-tools' }, () => {
  for (const path of paths) {
    const object = readObject(readFileSync(path), { name: basename(path).split('.')[0]! });
    assert.equal(object.license, 'GPL', path);
    assert.ok(object.programs.length + object.otherPrograms.length > 0, path);
  }
});

test('they have the programs and maps that are known', { skip: !isKnownVersion && 'needs xdp-tools 1.3.1' }, () => {
  const found: typeof EXPECTED = {};
  for (const path of paths) {
    const { programs, maps, otherPrograms } = readObject(readFileSync(path), { name: basename(path).split('.')[0]! });
    found[basename(path)] = {
      programs: programs.map(
        ({ name, instructions, subprograms, lines }) =>
          `${name} ${instructions.length}/${subprograms.length}/${lines.length}`,
      ),
      maps: maps.map((map) => `${map.type} ${map.name} ${map.keySize}/${map.valueSize}/${map.maxEntries}`),
      ...(otherPrograms.length > 0 && { others: otherPrograms.map(({ name, section }) => `${section} ${name}`) }),
    };
  }
  assert.deepEqual(found, EXPECTED);
});
