import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { PacketError } from '../errors.js';
import { EAGAIN, LOCK_EX, LOCK_NB } from './constants.js';
import { currentProcess, isRunning, type ProcessIdentity } from './process-identity.js';
import { SystemCalls } from './system-calls.js';

/**
 * A setting of an interface that this process changes, and the kernel does not put back when the process ends. Plain data: another
 * process must be able to undo it.
 */
export interface Change {
  /** Which setting; whoever undoes it must know the name. */
  readonly setting: string;
  /** Name of the interface that it is a setting of. */
  readonly interface: string;
  /** Index of the interface: another of the same name, made since, has another one. */
  readonly index: number;
  /** Inode of its network namespace (/proc/self/ns/net): names and indices repeat in others. */
  readonly namespace: number;
  /** The value before anybody changed it, as the kernel writes it. */
  readonly before: string;
  /** The value that was set. Only while it is in force `before` is put back. */
  readonly after: string;
}

/** The changes of one process, as its file has them. */
export interface JournalFile {
  readonly path: string;
  readonly process: ProcessIdentity;
  readonly changes: readonly Change[];
}

/** What is in a journal's folder. */
export interface JournalContents {
  readonly files: readonly JournalFile[];
  /** Files that are torn or none of ours: nothing can be undone from them. */
  readonly damaged: readonly string[];
}

const SUFFIX = '.json';
const VERSION = 1;
/** The file that is locked; it stays, empty. */
const LOCK = 'lock';
/** How long to wait for others at most, who hold the lock for some file operations, and how often to look. */
const PATIENCE_MILLISECONDS = 3000;
const RETRY_MILLISECONDS = 2;

/**
 * What processes have changed and must undo: one file per process (and thread) in a folder in memory (/run), written before a change is
 * made and removed after it was undone. A process that was killed leaves its file behind, and the next one undoes what it says
 * ({@link repair}). Files are replaced as a whole, so that a reader sees the old or the new one. What is found in others' files
 * decides what is written to the interface: both happen under a lock ({@link Journal.exclusively}), which the kernel takes off those who die.
 */
export class Journal {
  static #own: Journal | undefined;
  readonly #folder: string;
  readonly #proc: string;
  readonly #process: ProcessIdentity;
  readonly #path: string;
  #changes: readonly Change[] = [];
  #locked = false;

  /** @param folder need not exist */
  constructor(folder: string = defaultFolder(), proc = '/proc') {
    this.#folder = folder;
    this.#proc = proc;
    this.#process = currentProcess(proc);
    this.#path = join(folder, `${this.#process.pid}-${this.#process.start}-${threadId}${SUFFIX}`);
  }

  /** That of this thread: its file has one writer. */
  static own(): Journal {
    Journal.#own ??= new Journal();
    return Journal.#own;
  }

  /**
   * Does work that reads others' files and changes settings, while no other process or thread does. Where no system call is to be had (not on
   * Linux, where there is nothing to change) it is just done.
   *
   * @throws PacketError SYSTEM_CALL when somebody holds the lock for 3 seconds; and what the work throws
   */
  exclusively<Result>(work: () => Result): Result {
    const calls = SystemCalls.loaded;
    const descriptor = this.#locked || calls === undefined ? undefined : this.#openLock();
    if (descriptor === undefined) return work();
    try {
      this.#lock(calls!, descriptor);
      this.#locked = true;
      return work();
    } finally {
      this.#locked = false;
      closeSync(descriptor); // takes the lock off
    }
  }

  /** @returns undefined for a folder in which nobody can write: the work will say so, if it has to write there */
  #openLock(): number | undefined {
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      requireOwn(this.#folder);
      return openSync(join(this.#folder, LOCK), 'a', 0o600);
    } catch {
      return undefined;
    }
  }

  #lock(calls: SystemCalls, descriptor: number): void {
    for (let waited = 0; ; waited += RETRY_MILLISECONDS) {
      const result = calls.flock(descriptor, LOCK_EX | LOCK_NB);
      if (result >= 0) return;
      if (result !== -EAGAIN || waited >= PATIENCE_MILLISECONDS) {
        throw new PacketError('SYSTEM_CALL', `another process holds ${join(this.#folder, LOCK)}`, {
          ...{ syscall: 'flock', errno: -result },
          remedy: `\`fuser ${join(this.#folder, LOCK)}\` says which; end it`,
        });
      }
      calls.poll(-1, 0, RETRY_MILLISECONDS);
    }
  }

  /** To be called before the changes are made. @throws PacketError SYSTEM_CALL when they cannot be noted: then they must not be made */
  add(...changes: readonly Change[]): void {
    this.#write([...this.#changes, ...changes]);
  }

  /** To be called after the changes were undone. Never throws: at worst a later `repair` finds nothing left to do. */
  remove(...changes: readonly Change[]): void {
    const undone = new Set(changes);
    try {
      this.#write(this.#changes.filter((one) => !undone.has(one)));
    } catch {
      // The file still names changes that are undone; what it would write is what is there.
    }
  }

  #write(changes: readonly Change[]): void {
    try {
      if (changes.length === 0) rmSync(this.#path, { force: true });
      else {
        mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
        requireOwn(this.#folder);
        writeJournalFile({ path: this.#path, process: this.#process, changes });
      }
    } catch (cause) {
      if (cause instanceof PacketError) throw cause;
      const { message, errno = 0 } = cause as NodeJS.ErrnoException;
      throw new PacketError('SYSTEM_CALL', `what is changed cannot be noted, and so is not changed: ${message}`, {
        cause,
        errno: Math.abs(errno),
        remedy: `a folder ${this.#folder} that this user may write to`,
      });
    }
    this.#changes = changes;
  }

  /** Everything that processes of this user have noted. */
  read(): JournalContents {
    const files: JournalFile[] = [];
    const damaged: string[] = [];
    for (const name of this.#names()) {
      const path = join(this.#folder, name);
      const file = readJournalFile(path);
      if (file === 'damaged') damaged.push(path);
      else if (typeof file === 'object') files.push(file);
    }
    return { files, damaged };
  }

  #names(): string[] {
    try {
      // A folder that others can write to could make us write what they like.
      requireOwn(this.#folder);
      return readdirSync(this.#folder).filter((name) => name.endsWith(SUFFIX));
    } catch {
      return []; // nobody has noted anything
    }
  }

  /** What other processes and threads have changed that may still run. */
  others(): Change[] {
    const files = this.read().files.filter((file) => file.path !== this.#path && this.isAlive(file) !== false);
    return files.flatMap(({ changes }) => changes);
  }

  /** Whether a file's process still runs; undefined when that cannot be known here (another PID namespace). */
  isAlive(file: JournalFile): boolean | undefined {
    return isRunning(file.process, this.#process, this.#proc);
  }

  /** Replaces the changes of a dead process by those that could not be undone; none removes its file. */
  keep(file: JournalFile, changes: readonly Change[]): void {
    if (changes.length === 0) rmSync(file.path, { force: true });
    else if (changes.length < file.changes.length) writeJournalFile({ ...file, changes });
  }

  /** Removes a file that nothing can be undone from. */
  discard(path: string): void {
    rmSync(path, { force: true });
  }
}

/** Root notes in /run, others in the folder that the session manager gives them. */
function defaultFolder(): string {
  const session = process.env.XDG_RUNTIME_DIR;
  return process.geteuid?.() === 0 || session === undefined ? '/run/tp4' : join(session, 'tp4');
}

/** @throws PacketError NO_PRIVILEGE for a folder of another user, or one that others may write to */
function requireOwn(folder: string): void {
  const { uid, mode } = statSync(folder);
  if (uid === process.geteuid?.() && (mode & 0o022) === 0) return;
  throw new PacketError('NO_PRIVILEGE', `${folder} belongs to another user, or others may write to it`, {
    remedy: `rm -r ${folder}`,
  });
}

/** In one step, so that nobody reads half of it. */
function writeJournalFile({ path, process: owner, changes }: JournalFile): void {
  const draft = `${path}.draft`;
  writeFileSync(draft, `${JSON.stringify({ version: VERSION, process: owner, changes })}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

/** `damaged` for a file that is torn or another user's; `newer` for one of another version, which that one will care for. */
function readJournalFile(path: string): JournalFile | 'damaged' | 'newer' | 'gone' {
  try {
    if (statSync(path).uid !== process.geteuid?.()) return 'damaged';
    const { version, process: owner, changes } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    if (typeof version === 'number' && version !== VERSION) return 'newer';
    if (!isIdentity(owner) || !Array.isArray(changes) || !changes.every(isChange)) return 'damaged';
    return { path, process: owner, changes };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : 'damaged';
  }
}

function isIdentity(value: unknown): value is ProcessIdentity {
  const { pid, start, boot, pidNamespace } = (value ?? {}) as Record<string, unknown>;
  return (
    Number.isInteger(pid) && typeof start === 'string' && typeof boot === 'string' && Number.isInteger(pidNamespace)
  );
}

function isChange(value: unknown): value is Change {
  const { setting, interface: name, index, namespace, before, after } = (value ?? {}) as Record<string, unknown>;
  const texts = [setting, name, before, after].every((text) => typeof text === 'string');
  return texts && Number.isInteger(index) && Number.isInteger(namespace);
}
