import { MOST_CALL_FRAMES, PACKET_FAULT, PACKET_FAULT_SLOT, STACK_FRAME_BYTES } from '../execution.js';
import { BPF_REG_FP, BPF_REGISTERS } from '../opcodes.js';
import { CodeWriter, type Signature } from './wasm/code-writer.js';
import { I32, I32_ADD, I32_STORE, I32_WRAP_I64, I64, I64_EXTEND_I32_U, RETURN } from './wasm/opcodes.js';

/** Parameters of a compiled subprogram behind registers 1 to 5: arena offset of the lowest byte of its stack frame, and of the packet record. */
export const STACK_PARAMETER = 5;
export const RECORD_PARAMETER = 6;
/** A compiled subprogram: registers 1 to 5, the two above; it returns register 0, or 0 when the run has stopped. */
export const SUBPROGRAM_SIGNATURE: Signature = { parameters: [I64, I64, I64, I64, I64, I32, I32], results: [I64] };
/** Bytes from the lowest frame's first byte to the highest one's. */
export const DEEPEST_FRAME_BYTES = (MOST_CALL_FRAMES - 1) * STACK_FRAME_BYTES;

/** The body of a compiled subprogram: registers are locals of 64 bits, but for register 10, which follows from the frame. */
export class SubprogramBody {
  readonly code = new CodeWriter(SUBPROGRAM_SIGNATURE);
  /** Locals for the address of an access, in 64 and 32 bits, and for what was in memory. */
  readonly wideAddress = this.code.local(I64);
  readonly address = this.code.local(I32);
  readonly scratch = this.code.local(I64);
  readonly #locals = Array.from({ length: BPF_REGISTERS }, (_, register) =>
    register >= 1 && register <= 5 ? register - 1 : this.code.local(I64),
  );

  /** Puts a register on WebAssembly's stack. */
  push(register: number): void {
    if (register === BPF_REG_FP) {
      this.pushLow(register);
      this.code.op(I64_EXTEND_I32_U);
    } else this.code.get(this.#locals[register]!);
  }

  /** Puts the lower 32 bits of a register on WebAssembly's stack. */
  pushLow(register: number): void {
    if (register === BPF_REG_FP) {
      this.code.get(STACK_PARAMETER);
      this.code.i32(STACK_FRAME_BYTES);
      this.code.op(I32_ADD);
    } else {
      this.push(register);
      this.code.op(I32_WRAP_I64);
    }
  }

  /** Takes the number of 64 bits on WebAssembly's stack into a register, 0 to 9. */
  take(register: number): void {
    this.code.set(this.#locals[register]!);
  }

  /** Takes the number of 32 bits on WebAssembly's stack into a register, zero-extended. */
  takeLow(register: number): void {
    this.code.op(I64_EXTEND_I32_U);
    this.take(register);
  }

  /** Stops the run. */
  stop(fault: number, slot: number): void {
    for (const [word, value] of [
      [PACKET_FAULT, fault],
      [PACKET_FAULT_SLOT, slot],
    ] as const) {
      this.code.get(RECORD_PARAMETER);
      this.code.i32(value);
      this.code.memory(I32_STORE, word * 4);
    }
    this.leaveStopped();
  }

  /** Leaves the function of a run that has stopped. */
  leaveStopped(): void {
    this.code.i64(0);
    this.code.op(RETURN);
  }
}
