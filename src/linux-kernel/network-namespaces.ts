import { readdirSync, readFileSync, statSync } from 'node:fs';

/** A network namespace other than this process' own. */
export interface NamespaceFacts {
  /** Whether it is still there; undefined where this process may not see everything that could keep it. */
  readonly exists: boolean | undefined;
  /** Its name as `ip netns` has it. */
  readonly name?: string;
}

/** Inode of the network namespace of this process; 0 where that is not known. */
export function networkNamespace(proc = '/proc'): number {
  return inode(`${proc}/self/ns/net`) ?? 0;
}

/** Looks for a network namespace among the named ones, the mounted ones and those that processes are in. */
export function findNamespace(wanted: number, proc = '/proc', named = '/run/netns'): NamespaceFacts {
  const name = list(named).find((candidate) => inode(`${named}/${candidate}`) === wanted);
  if (name !== undefined) return { exists: true, name };
  if (readText(`${proc}/self/mountinfo`).includes(` net:[${wanted}] `)) return { exists: true };
  let blind = false;
  for (const pid of list(proc).filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (statSync(`${proc}/${pid}/ns/net`).ino === wanted) return { exists: true };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EACCES') blind = true; // others: it has ended meanwhile
    }
  }
  return { exists: blind ? undefined : false };
}

function inode(file: string): number | undefined {
  try {
    return statSync(file).ino;
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
