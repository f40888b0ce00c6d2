import * as op from '../classic/opcodes.js';

/** What a program calculates with: unsigned 32 bits. Equal values of a {@link ValueTable} are one object, with one number. */
export type Value = { readonly id: number } & ValueShape;

export type ValueShape =
  | { readonly kind: 'constant'; readonly value: number }
  /** Bytes of the packet on the wire. */
  | { readonly kind: 'length' }
  /** Packet bytes at `at`, or at the sum of `base` and `at`. */
  | { readonly kind: 'packet'; readonly size: PacketSize; readonly at: number; readonly base: Value | undefined }
  /** Bytes of the IPv4 header that begins at `at`. */
  | { readonly kind: 'header-length'; readonly at: number }
  /** What Linux knows beside the packet; `at` is one of SKF_AD_…. */
  | { readonly kind: 'beside'; readonly at: number; readonly size: PacketSize }
  | { readonly kind: 'negate'; readonly operand: Value }
  /** `operation` is one of BPF_ADD and so on. */
  | { readonly kind: 'calculate'; readonly operation: number; readonly left: Value; readonly right: Value };

/** Bytes that are loaded at once. */
export type PacketSize = 1 | 2 | 4;

/** Operations whose sides may change places. */
const COMMUTATIVE = new Set([op.BPF_ADD, op.BPF_MUL, op.BPF_AND, op.BPF_OR, op.BPF_XOR]);
/** Right sides that change nothing. */
const NEUTRAL: Readonly<Record<number, number>> = {
  [op.BPF_ADD]: 0,
  [op.BPF_SUB]: 0,
  [op.BPF_OR]: 0,
  [op.BPF_XOR]: 0,
  [op.BPF_LSH]: 0,
  [op.BPF_RSH]: 0,
  [op.BPF_MUL]: 1,
  [op.BPF_DIV]: 1,
};

/** Makes values, each once, and calculates what is constant. Loads are never left out: they decide whether a packet is long enough. */
export class ValueTable {
  readonly #values = new Map<string, Value>();

  constant(value: number): Value {
    return this.#intern(`#${value >>> 0}`, { kind: 'constant', value: value >>> 0 });
  }

  length(): Value {
    return this.#intern('length', { kind: 'length' });
  }

  packet(size: PacketSize, at: number, base?: Value): Value {
    return this.#intern(`[${base?.id}+${at >>> 0}:${size}]`, { kind: 'packet', size, at: at >>> 0, base });
  }

  headerLength(at: number): Value {
    return this.#intern(`header ${at}`, { kind: 'header-length', at });
  }

  beside(at: number, size: PacketSize): Value {
    return this.#intern(`beside ${at}:${size}`, { kind: 'beside', at, size });
  }

  negate(operand: Value): Value {
    if (operand.kind === 'constant') return this.constant(-operand.value);
    return this.#intern(`-${operand.id}`, { kind: 'negate', operand });
  }

  /** Divisions by a constant 0 and shifts by a constant above 31 are the caller's to refuse. */
  calculate(operation: number, left: Value, right: Value): Value {
    if (left.kind === 'constant' && right.kind === 'constant') {
      return this.constant(calculateConstant(operation, left.value, right.value));
    }
    if (left.kind === 'constant' && COMMUTATIVE.has(operation)) return this.calculate(operation, right, left);
    if (right.kind === 'constant' && NEUTRAL[operation] === right.value) return left;
    return this.#intern(`${left.id} ${operation} ${right.id}`, { kind: 'calculate', operation, left, right });
  }

  #intern(key: string, shape: ValueShape): Value {
    let value = this.#values.get(key);
    if (value === undefined) {
      value = { ...shape, id: this.#values.size };
      this.#values.set(key, value);
    }
    return value;
  }
}

function calculateConstant(operation: number, left: number, right: number): number {
  switch (operation) {
    case op.BPF_ADD:
      return left + right;
    case op.BPF_SUB:
      return left - right;
    case op.BPF_MUL:
      return Math.imul(left, right);
    case op.BPF_DIV:
      return Math.floor(left / right);
    case op.BPF_MOD:
      return left % right;
    case op.BPF_AND:
      return left & right;
    case op.BPF_OR:
      return left | right;
    case op.BPF_XOR:
      return left ^ right;
    case op.BPF_LSH:
      return left << right;
    default:
      return left >>> right;
  }
}
