import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process that holds something of an interface. */
export interface Holder {
  readonly pid: number;
  /** Its name as `ps` has it. */
  readonly command: string;
}

/** Who holds it, as far as this process may see. */
export interface Holders {
  readonly found: readonly Holder[];
  /** Whether there are processes whose descriptors this one may not look at. */
  readonly incomplete: boolean;
}

/** The processes that hold a BPF program or its link: `prog_id` of their descriptors in /proc/PID/fdinfo. */
export function holdersOfProgram(id: number, proc = '/proc'): Holders {
  return findHolders(proc, (folder, descriptor) => {
    if (!readlinkSync(`${folder}/fd/${descriptor}`).startsWith('anon_inode:bpf')) return false;
    const text = readFileSync(`${folder}/fdinfo/${descriptor}`, 'utf8');
    return new RegExp(`^prog_id:\\s*${id}$`, 'm').test(text);
  });
}

/** The processes that have a socket, by its inode. */
export function holdersOfSocket(inode: number, proc = '/proc'): Holders {
  const target = `socket:[${inode}]`;
  return findHolders(proc, (folder, descriptor) => readlinkSync(`${folder}/fd/${descriptor}`) === target);
}

function findHolders(proc: string, holds: (folder: string, descriptor: string) => boolean): Holders {
  const found: Holder[] = [];
  let incomplete = false;
  for (const name of readdirSync(proc)) {
    if (!/^\d+$/.test(name)) continue;
    const folder = `${proc}/${name}`;
    try {
      if (readdirSync(`${folder}/fd`).some((descriptor) => attempt(() => holds(folder, descriptor)))) {
        found.push({ pid: Number(name), command: readFileSync(`${folder}/comm`, 'utf8').trim() });
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EACCES') incomplete = true; // others: it has ended meanwhile
    }
  }
  return { found, incomplete };
}

/** A descriptor may be closed while it is looked at: then it holds nothing. */
function attempt(work: () => boolean): boolean {
  try {
    return work();
  } catch {
    return false;
  }
}

/** "process 4321 (node)", "processes 4321 (node), 4322 (xdp-bench)". */
export function describeHolders({ found }: Holders): string {
  const list = found.map(({ pid, command }) => `${pid} (${command})`).join(', ');
  return `process${found.length === 1 ? '' : 'es'} ${list}`;
}
