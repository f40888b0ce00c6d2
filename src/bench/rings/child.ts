import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** How a measuring process is run. */
export interface ChildOptions {
  /** The script, which gets its task as JSON in its first argument and writes what it found as JSON on standard output. */
  readonly script: URL;
  readonly task: unknown;
  /** Flags for Node. */
  readonly flags?: readonly string[];
  /** After so many milliseconds it is ended. */
  readonly timeoutMilliseconds: number;
  readonly signal: AbortSignal;
}

/**
 * Measures in a process of its own, so that no measurement runs code that another one has compiled.
 *
 * @throws Error when the process fails or hangs; the signal's reason when it is aborted, once the process has ended
 */
export async function measureInChild<Measurement>(options: ChildOptions): Promise<Measurement> {
  const { script, task, flags = [], signal } = options;
  const lines = await runCommand(process.execPath, [...flags, fileURLToPath(script), JSON.stringify(task)], {
    timeoutMilliseconds: options.timeoutMilliseconds,
    signal,
  });
  return JSON.parse(lines.at(-1) ?? '') as Measurement;
}

/** How a command is run. */
export interface CommandOptions {
  /** After so many milliseconds it is ended. */
  readonly timeoutMilliseconds: number;
  readonly signal: AbortSignal;
  /** Out of reach of the terminal's Ctrl-C; default false. */
  readonly detached?: boolean;
  /** Hears of each line when it is written, and of the process that wrote it. */
  readonly onLine?: (line: string, process: ChildProcess) => void;
}

/** Runs a command to its end. @returns the lines it wrote. @throws Error when it fails, with what it complained of */
export async function runCommand(
  command: string,
  args: readonly string[],
  { timeoutMilliseconds, signal, detached = false, onLine }: CommandOptions,
): Promise<string[]> {
  signal.throwIfAborted();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached });
  if (onLine !== undefined) createInterface(child.stdout!).on('line', (line) => onLine(line, child));
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(kill, timeoutMilliseconds);
  signal.addEventListener('abort', kill);
  try {
    const { stdout, stderr, how } = await outcome(child);
    signal.throwIfAborted();
    if (how !== 'status 0') throw new Error(`a measuring process failed (${how})\n${stderr.trim()}`);
    return stdout.trim().split('\n');
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
  }
}

function outcome(child: ChildProcess): Promise<{ stdout: string; stderr: string; how: string }> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (status, ended) =>
      resolve({ stdout, stderr, how: ended === null ? `status ${status}` : `signal ${ended}` }),
    );
  });
}
