import type { Program } from '../program.js';

/** What the name of a section says about the programs in it. */
export type Section = Pick<Program, 'place' | 'segments'>;

const ALL: readonly Section[] = [false, true].flatMap((segments) =>
  (['xdp', 'xdp/devmap', 'xdp/cpumap'] as const).map((place) => ({ place, segments })),
);

/** Sections that programs can be in, as libbpf names them. */
export const SECTIONS: ReadonlyMap<string, Section> = new Map(ALL.map((section) => [sectionOf(section), section]));

/** Name of a program's section. */
export function sectionOf({ place, segments }: Section): string {
  return segments ? place.replace('xdp', 'xdp.frags') : place;
}
