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
  [op.BPF_AND]: 0xffffffff,
};

/** Where an Ethernet frame has its outermost VLAN tag, and the tag's bytes. */
const TAG_AT = 12;
const TAG_BYTES = 4;

/**
 * Makes values, each once, and calculates what is constant. A load is left out only where its bytes do not count (`ip[0] & 0`): it decides
 * whether a packet is long enough.
 */
export class ValueTable {
  /** Whether Linux has taken the packet's outermost VLAN tag out of it: places are those with the tag, loads those without. */
  readonly tagBeside: boolean;
  readonly #values: Map<string, Value>;

  constructor(tagBeside = false, values = new Map<string, Value>()) {
    this.tagBeside = tagBeside;
    this.#values = values;
  }

  /** The same values, for packets whose tag has been taken out. */
  withTagBeside(): ValueTable {
    return new ValueTable(true, this.#values);
  }

  constant(value: number): Value {
    return this.#intern(`#${value >>> 0}`, { kind: 'constant', value: value >>> 0 });
  }

  length(): Value {
    const length = this.#intern('length', { kind: 'length' });
    return this.tagBeside ? this.calculate(op.BPF_ADD, length, this.constant(TAG_BYTES)) : length;
  }

  /** Bytes at `at`, or that far behind `base`. With the tag beside the packet, what varies has to lie behind the tag. */
  packet(size: PacketSize, at: number, base?: Value): Value {
    if (base?.kind === 'constant') return this.packet(size, at + base.value);
    if (base?.kind === 'calculate' && base.operation === op.BPF_ADD && base.right.kind === 'constant') {
      return this.packet(size, at + base.right.value, base.left);
    }
    const place = at >>> 0;
    if (!this.tagBeside || place + size <= TAG_AT) return this.#load(size, place, base);
    if (place >= TAG_AT + TAG_BYTES || base !== undefined) return this.#load(size, place - TAG_BYTES, base);
    return this.#acrossTag(size, place);
  }

  headerLength(at: number): Value {
    const place = this.tagBeside ? at - TAG_BYTES : at;
    return this.#intern(`header ${place}`, { kind: 'header-length', at: place });
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
    if (right.kind === 'constant' && right.value === 0 && (operation === op.BPF_AND || operation === op.BPF_MUL))
      return right;
    return this.#intern(`${left.id} ${operation} ${right.id}`, { kind: 'calculate', operation, left, right });
  }

  #load(size: PacketSize, at: number, base: Value | undefined): Value {
    return this.#intern(`[${base?.id}+${at >>> 0}:${size}]`, { kind: 'packet', size, at: at >>> 0, base });
  }

  /** Bytes of which some are the tag's: put together from halves of the tag and bytes of the packet. */
  #acrossTag(size: PacketSize, at: number): Value {
    if (size === 2 && at === TAG_AT) return this.beside(op.SKF_AD_VLAN_TPID, 4);
    if (size === 2 && at === TAG_AT + 2) return this.beside(op.SKF_AD_VLAN_TAG, 4);
    if (size === 1) {
      const half = this.#acrossTag(2, at & ~1);
      return at % 2 === 0
        ? this.calculate(op.BPF_RSH, half, this.constant(8))
        : this.calculate(op.BPF_AND, half, this.constant(0xff));
    }
    const halfSize = size === 4 ? 2 : 1;
    const upper = this.packet(halfSize, at);
    const shifted = this.calculate(op.BPF_LSH, upper, this.constant(8 * halfSize));
    return this.calculate(op.BPF_OR, shifted, this.packet(halfSize, at + halfSize));
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
