import type { Helper, HelperTable } from '../helpers/contract.js';
import { registerAt } from '../helpers/registers.js';
import { writtenRegister } from '../instruction-form.js';
import type { Machine } from '../machine.js';
import { BPF_REGISTERS } from '../opcodes.js';
import type { Program } from '../program.js';
import type { RegisterValue, TraceStep } from './contract.js';
import { instrument } from './instrument.js';

/** Helpers with numbers from here on are probes; the kernel's are far below. */
const FIRST_PROBE = 2 ** 24;

/** A step whose instruction has not been left yet. */
interface OpenStep {
  readonly program: Program;
  readonly slot: number;
  /** The register that it writes, whatever was there before. */
  readonly writes: number | undefined;
}

/**
 * Follows programs through the interpreter, instruction by instruction. The interpreter knows nothing of it and pays nothing for it: what
 * runs is the program with a call of a probe in front of each instruction. Programs do what they do otherwise, budget and faults included, on a
 * machine that has the tracer's helpers, twice the budget, and all its programs from `addProgram`.
 *
 * Relies on the interpreter's registers being the control block's; the compiler's are not.
 */
export class Tracer {
  /** The helpers given, and the probes: for the machine. */
  readonly helpers: HelperTable;
  readonly #probes: Helper[] = [];
  readonly #before = new BigUint64Array(BPF_REGISTERS);
  #executed = 0;
  #steps: TraceStep[] | undefined;
  #open: OpenStep | undefined;

  constructor(helpers: HelperTable) {
    this.helpers = {
      byNumber: (number) => this.#probes[number - FIRST_PROBE] ?? helpers.byNumber(number),
      byName: (name) => helpers.byName(name),
    };
  }

  /** What to prepare in place of a program. @throws PacketError PROGRAM_REFUSED where a jump would be too far */
  addProgram(program: Program): Program {
    const first = FIRST_PROBE + this.#probes.length;
    const instrumented = instrument(program, first);
    for (let slot = 0; slot < program.instructions.length; slot++) {
      this.#probes.push({
        name: 'probe',
        number: first + slot,
        arguments: [],
        returns: 'nothing',
        call: (machine) => this.#enter(program, slot, machine),
      });
    }
    return instrumented;
  }

  /** Begins to count anew. @param record whether to note the steps, too */
  begin(record: boolean): void {
    this.#executed = 0;
    this.#steps = record ? [] : undefined;
    this.#open = undefined;
  }

  /** Instructions executed since `begin`. One that stopped the run counts. */
  get executed(): number {
    return this.#executed;
  }

  /** The steps since `begin`, in their order, complete once the run has ended; undefined when none are noted. */
  finish(machine: Machine): readonly TraceStep[] | undefined {
    this.#leave(machine);
    return this.#steps;
  }

  #enter(program: Program, slot: number, machine: Machine): void {
    this.#executed++;
    if (this.#steps === undefined) return;
    if (this.#open === undefined) this.#noteRegisters(machine);
    else this.#leave(machine);
    this.#open = { program, slot, writes: writtenRegister(program.instructions[slot]!) };
  }

  #leave(machine: Machine): void {
    if (this.#open === undefined) return;
    const { program, slot, writes } = this.#open;
    this.#steps?.push({ program, slot, written: this.#noteRegisters(machine, writes) });
    this.#open = undefined;
  }

  /** Notes what the registers hold. Returns those that held something else before, and the one that was written. */
  #noteRegisters(machine: Machine, written?: number): RegisterValue[] {
    const { i32 } = machine.arena;
    const noted: RegisterValue[] = [];
    for (let register = 0; register < BPF_REGISTERS; register++) {
      const at = registerAt(machine, register);
      const value = BigInt(i32[at]! >>> 0) | (BigInt(i32[at + 1]! >>> 0) << 32n);
      if (this.#before[register] === value && register !== written) continue;
      this.#before[register] = value;
      noted.push({ register, value });
    }
    return noted;
  }
}
