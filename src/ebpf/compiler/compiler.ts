import { PacketError } from '../../errors.js';
import { makeCode } from '../code.js';
import type { Engine, Executable } from '../execution.js';
import type { Machine } from '../machine.js';
import type { EbpfMap } from '../maps/contract.js';
import type { BoundProgram } from '../program.js';
import { makeModule, type ProgramExports, type ProgramModule } from './make-module.js';

/** Turns programs into WebAssembly that works on the machine's memory in place. It runs wherever code may be generated. */
export const compiler: Engine = {
  name: 'compiler',
  prepare(bound, machine) {
    const made = makeModule(bound, machine, makeCode(bound, machine));
    try {
      return new CompiledProgram(bound, start(new WebAssembly.Module(made.bytes), made, machine));
    } catch (cause) {
      throw refusal(bound, cause);
    }
  },
};

/**
 * Does what `compiler.prepare` does, without keeping the thread from its work: browsers take only small programs on their main thread
 * otherwise.
 *
 * @throws PacketError PROGRAM_REFUSED
 */
export async function prepareCompiled(bound: BoundProgram<EbpfMap>, machine: Machine): Promise<Executable> {
  const made = makeModule(bound, machine, makeCode(bound, machine));
  try {
    return new CompiledProgram(bound, start(await WebAssembly.compile(made.bytes), made, machine));
  } catch (cause) {
    throw refusal(bound, cause);
  }
}

/** A program that the compiler has made. */
class CompiledProgram implements Executable {
  readonly bound: BoundProgram<EbpfMap>;
  readonly run: ProgramExports['run'];
  readonly enter: ProgramExports['enter'];

  constructor(bound: BoundProgram<EbpfMap>, { run, enter }: ProgramExports) {
    this.bound = bound;
    this.run = run;
    this.enter = enter;
  }
}

function start(module: WebAssembly.Module, { imports }: ProgramModule, { arena }: Machine): ProgramExports {
  const instance = new WebAssembly.Instance(module, {
    env: { ...imports, memory: arena.memory as WebAssembly.Memory },
  });
  return instance.exports as unknown as ProgramExports;
}

function refusal({ program }: BoundProgram<EbpfMap>, cause: unknown): PacketError {
  return new PacketError(
    'PROGRAM_REFUSED',
    `program ${program.name} cannot be compiled here: ${(cause as Error).message}`,
    {
      cause,
      remedy: 'run it in the interpreter, which generates no code, or make several programs of it',
    },
  );
}
