import type { ProgramPlace } from '../program.js';

/** What the programs of a section are for. */
export interface ProgramSection {
  /** Undefined for programs that are not XDP's. */
  readonly place: ProgramPlace | undefined;
  /** Whether they take packets of several frames. */
  readonly segments: boolean;
}

const SEGMENTS = 'xdp.frags';
/** XDP programs that run behind a redirection, with the older names for them. */
const BEHIND_REDIRECTION: readonly (readonly [RegExp, ProgramPlace])[] = [
  [/^xdp(\.frags)?[/_]devmap(\/|$)/, 'xdp/devmap'],
  [/^xdp(\.frags)?[/_]cpumap(\/|$)/, 'xdp/cpumap'],
];

/**
 * What the programs of a section are for, by the section's name, as libbpf has it ("Program types and ELF sections" in its documentation):
 * `xdp`, `xdp.frags`, `xdp/devmap`, `xdp/cpumap`, and any other name beginning with `xdp` for XDP, as it was up to libbpf 0.8. A
 * question mark in front, for programs that are not to be loaded by themselves, changes nothing.
 */
export function programSection(name: string, others: Readonly<Record<string, ProgramPlace>>): ProgramSection {
  const own = Object.hasOwn(others, name) ? others[name] : undefined;
  if (own !== undefined) return { place: own, segments: false };
  const bare = name.replace(/^\?/, '');
  if (!bare.startsWith('xdp')) return { place: undefined, segments: false };
  const place = BEHIND_REDIRECTION.find(([pattern]) => pattern.test(bare))?.[1] ?? 'xdp';
  return { place, segments: bare.startsWith(SEGMENTS) };
}
