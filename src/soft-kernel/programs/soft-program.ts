import type { Executable } from '../../ebpf/execution.js';
import type { Machine } from '../../ebpf/machine.js';
import type { Program } from '../../ebpf/program.js';
import { checkInteger, PacketError } from '../../errors.js';
import { checkUnbound } from '../../kernel/program-binding.js';
import type { LoadedProgram, TestRun } from '../../kernel/programs.js';
import type { SoftObject } from './soft-object.js';
import type { TestBench } from './test-bench.js';

/** Most runs of one test. */
const MOST_REPEATS = 2 ** 31 - 1;

/** A program of the soft kernel, ready to run on the kernel's machine. */
export class SoftProgram implements LoadedProgram {
  readonly program: Program;
  readonly executable: Executable;
  readonly machine: Machine;
  /** Interface whose hints it reads. */
  readonly boundTo: string | undefined;
  /** What it belongs to, once that is complete. */
  object: SoftObject | undefined;
  readonly #number: number;
  readonly #bench: TestBench;
  #closed = false;

  constructor(machine: Machine, executable: Executable, bench: TestBench, boundTo?: string) {
    this.machine = machine;
    this.executable = executable;
    this.program = executable.bound.program;
    this.#bench = bench;
    this.boundTo = boundTo;
    this.#number = machine.addProgram(executable);
  }

  /** Its number on the machine, for entries of maps. @throws PacketError WRONG_STATE, MODE_UNSUPPORTED (it reads hints) */
  get handle(): number {
    this.expectOpen();
    checkUnbound(this.program, this.boundTo, 'an entry of a map');
    return this.#number;
  }

  /** @throws PacketError WRONG_STATE */
  expectOpen(): void {
    if (!this.#closed) return;
    throw new PacketError('WRONG_STATE', `program ${this.program.name} is closed`, {
      remedy: 'use it before the object that it belongs to is closed',
    });
  }

  test(packet: Uint8Array, repeat = 1): TestRun {
    checkInteger('repeat', repeat, 1, MOST_REPEATS);
    checkUnbound(this.program, this.boundTo, 'tried on packets that no device has received');
    this.expectOpen();
    return this.#bench.run(this.executable, packet, repeat);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.machine.removeProgram(this.#number);
  }
}

/** @throws PacketError INVALID_OPTION */
export function expectSoftProgram(program: LoadedProgram, machine: Machine): SoftProgram {
  if (program instanceof SoftProgram && program.machine === machine) return program;
  throw new PacketError('INVALID_OPTION', 'program: it was not loaded by this soft kernel', {
    remedy: 'load its object with loadObject of this kernel',
  });
}
