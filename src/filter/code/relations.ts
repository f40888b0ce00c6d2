import * as op from '../classic/opcodes.js';
import { ETHER_PROTOCOLS } from '../language/names.js';
import type { Arithmetic, Comparison, HeaderName, Operator, RelationPrimitive } from '../language/syntax.js';
import type { Compilation } from './compilation.js';
import { all, type Condition, compare, not } from './condition.js';
import { ETHERTYPE_IP, ETHERTYPE_IP6 } from './layers.js';
import {
  hasNextHeader,
  IPV6_HEADER_BYTES,
  ipv4HeaderLength,
  isFirstFragment,
  numberCondition,
  PROTOCOLS_OVER_IP,
} from './protocols.js';
import type { Value } from './value.js';

const OPERATIONS: Readonly<Record<Operator, number>> = {
  '+': op.BPF_ADD,
  '-': op.BPF_SUB,
  '*': op.BPF_MUL,
  '/': op.BPF_DIV,
  '%': op.BPF_MOD,
  '&': op.BPF_AND,
  '|': op.BPF_OR,
  '^': op.BPF_XOR,
  '<<': op.BPF_LSH,
  '>>': op.BPF_RSH,
};
const ICMP6 = 58;
const MOST_SHIFT = 31;
/** How each comparison is tested, and whether the test is to fail. */
const COMPARISONS: Readonly<Record<Comparison, readonly ['equal' | 'greater' | 'at-least', boolean]>> = {
  '=': ['equal', false],
  '!=': ['equal', true],
  '>': ['greater', false],
  '>=': ['at-least', false],
  '<': ['at-least', true],
  '<=': ['greater', true],
};

/** A calculation: what it comes to, and when the bytes that it takes are there. */
interface Calculation {
  readonly value: Value;
  readonly conditions: readonly Condition[];
}

/** Compares two calculations, in packets that have the headers of both. */
export function relationCondition(compilation: Compilation, { comparison, left, right }: RelationPrimitive): Condition {
  const first = calculate(compilation, left);
  const second = calculate(compilation, right);
  const [test, fails] = COMPARISONS[comparison];
  const relation = compare(compilation.values, test, first.value, second.value);
  return all(...first.conditions, ...second.conditions, fails ? not(relation) : relation);
}

/**
 * As in libpcap, a calculation has the conditions of its left side alone: `1 + ip[0]` takes a byte of whatever packet it is.
 */
function calculate(compilation: Compilation, arithmetic: Arithmetic): Calculation {
  const { values } = compilation;
  switch (arithmetic.kind) {
    case 'number':
      return { value: values.constant(arithmetic.value), conditions: [] };
    case 'length':
      return { value: values.length(), conditions: [] };
    case 'negate': {
      const { value, conditions } = calculate(compilation, arithmetic.operand);
      return { value: values.negate(value), conditions };
    }
    case 'calculate': {
      const left = calculate(compilation, arithmetic.left);
      const right = calculate(compilation, arithmetic.right);
      checkOperand(compilation, arithmetic, right.value);
      return {
        value: values.calculate(OPERATIONS[arithmetic.operator], left.value, right.value),
        conditions: left.conditions,
      };
    }
    case 'bytes':
      return bytesOf(compilation, arithmetic);
  }
}

function checkOperand(
  compilation: Compilation,
  { operator, right }: Arithmetic & { readonly kind: 'calculate' },
  value: Value,
): void {
  if (value.kind !== 'constant') return;
  if ((operator === '/' || operator === '%') && value.value === 0) {
    throw compilation.syntaxError(right.span, 'this divides by 0', 'divide by another number');
  }
  if ((operator === '<<' || operator === '>>') && value.value > MOST_SHIFT) {
    throw compilation.syntaxError(right.span, `this shifts by more than ${MOST_SHIFT} bits`, 'values have 32 bits');
  }
}

/** `tcp[12:2]`. */
function bytesOf(compilation: Compilation, arithmetic: Arithmetic & { readonly kind: 'bytes' }): Calculation {
  const { header, size, span } = arithmetic;
  const { layers, values } = compilation;
  const index = calculate(compilation, arithmetic.index);
  const at = (place: number): Value => values.packet(size, place, index.value);
  if (header === 'ether') {
    if (values.tagBeside && index.value.kind !== 'constant' && layers.linkAt === 0) {
      throw compilation.refusal(
        span,
        'on AF_PACKET a place in the Ethernet header has to be a number, because Linux takes VLAN tags out of packets',
        'take the bytes from the header behind it, as in "ip[ip[0] & 0xf]", or choose an AF_XDP mode',
      );
    }
    return { value: at(layers.linkAt), conditions: index.conditions };
  }
  if (header === 'icmp6') {
    const conditions = [
      ...index.conditions,
      compilation.carries(ETHERTYPE_IP6, span),
      hasNextHeader(compilation, ICMP6),
    ];
    return { value: at(layers.payloadAt + IPV6_HEADER_BYTES), conditions };
  }
  const number = PROTOCOLS_OVER_IP.get(header)?.[0];
  if (number === undefined) {
    return {
      value: at(layers.payloadAt),
      conditions: [...index.conditions, compilation.carries(etherTypeOf(header), span)],
    };
  }
  const base = values.calculate(op.BPF_ADD, index.value, ipv4HeaderLength(compilation));
  return {
    value: values.packet(size, layers.payloadAt, base),
    conditions: [
      compilation.carries(ETHERTYPE_IP, span),
      ...index.conditions,
      numberCondition(compilation, { over: 'ip', number }, span),
      isFirstFragment(compilation),
    ],
  };
}

function etherTypeOf(header: HeaderName): number {
  return ETHER_PROTOCOLS.get(header)!;
}
