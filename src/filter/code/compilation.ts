import type { PacketError } from '../../errors.js';
import { filterError, type Span } from '../language/filter-error.js';
import type { Condition } from './condition.js';
import { Layers, type LinkType } from './layers.js';
import type { ValueTable } from './value.js';

/** One expression on its way to a condition: values, the layers as far as it has been read, and how it is refused. */
export class Compilation {
  readonly expression: string;
  readonly values: ValueTable;
  readonly layers: Layers;

  constructor(expression: string, link: LinkType, values: ValueTable) {
    this.expression = expression;
    this.values = values;
    this.layers = new Layers(values, link);
  }

  /** Whether the payload has an ether type. @throws PacketError FILTER_UNSUPPORTED behind labels of MPLS, which do not say it */
  carries(etherType: number, span: Span): Condition {
    const condition = this.layers.carries(etherType);
    if (condition !== undefined) return condition;
    throw this.refusal(
      span,
      'behind a label of MPLS only IPv4 and IPv6 can be told',
      'write ip or ip6, or test bytes behind the labels',
    );
  }

  /** The expression cannot mean anything. */
  syntaxError(span: Span, message: string, remedy: string): PacketError {
    return filterError('FILTER_SYNTAX', this.expression, span, message, remedy);
  }

  /** The expression is right, but not here. */
  refusal(span: Span, message: string, remedy: string): PacketError {
    return filterError('FILTER_UNSUPPORTED', this.expression, span, message, remedy);
  }
}
