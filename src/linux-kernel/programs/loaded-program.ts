import type { Program } from '../../ebpf/program.js';
import { checkInteger, PacketError } from '../../errors.js';
import { checkUnbound } from '../../kernel/program-binding.js';
import type { LoadedProgram, TestRun } from '../../kernel/programs.js';
import { readInterface } from '../interfaces.js';
import type { SystemCalls } from '../system-calls.js';
import type { LinuxMap } from './linux-map.js';
import type { LinuxObject } from './loaded-object.js';
import { loadProgram } from './program-loading.js';
import { TestRuns } from './test-run.js';

/** Most runs of one test: the kernel counts them with 32 bits, and a run of a second is 10^7 of them or so. */
const MOST_REPEATS = 2 ** 31 - 1;

/** A program in the Linux kernel. It lives as long as links, maps and descriptors name it; this is one descriptor. */
export class LinuxProgram implements LoadedProgram {
  readonly program: Program;
  /** Interface whose hints it reads. */
  readonly boundTo: string | undefined;
  /** What it belongs to, once that is complete. */
  object: LinuxObject | undefined;
  readonly #calls: SystemCalls;
  readonly #descriptor: number;
  #testRuns: TestRuns | undefined;
  #closed = false;

  /**
   * Loads it.
   *
   * @param maps in the order of `program.maps`; the kernel keeps them for as long as the program
   * @param boundTo interface whose hints it reads
   * @throws PacketError PROGRAM_REFUSED, NO_INTERFACE, NO_PRIVILEGE, SYSTEM_CALL
   */
  constructor(calls: SystemCalls, program: Program, maps: readonly LinuxMap[], boundTo?: string) {
    this.#calls = calls;
    this.program = program;
    this.boundTo = boundTo;
    this.#descriptor = loadProgram(
      calls,
      program,
      maps.map(({ handle }) => handle),
      boundTo === undefined ? 0 : readInterface(calls, boundTo).index,
    );
  }

  /** Its descriptor. @throws PacketError WRONG_STATE */
  get handle(): number {
    if (!this.#closed) return this.#descriptor;
    throw new PacketError('WRONG_STATE', `program ${this.program.name} is closed`, {
      remedy: 'use it before the object that it belongs to is closed',
    });
  }

  test(packet: Uint8Array, repeat = 1): TestRun {
    checkInteger('repeat', repeat, 1, MOST_REPEATS);
    checkUnbound(this.program, this.boundTo, 'tried on packets that no device has received');
    this.#testRuns ??= new TestRuns(this.#calls);
    return this.#testRuns.run(this.handle, packet, repeat);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#calls.close(this.#descriptor);
  }
}
