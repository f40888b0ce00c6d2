import type { Primitive, Syntax } from '../language/syntax.js';
import { addressCondition, castCondition, macCondition } from './addresses.js';
import type { Compilation } from './compilation.js';
import { all, any, type Condition, not } from './condition.js';
import { encapsulationCondition, llcCondition, originCondition } from './encapsulations.js';
import { numberCondition, portCondition, protocolCondition } from './protocols.js';
import { relationCondition } from './relations.js';

/**
 * When packets match an expression. It is read from left to right, whatever joins its parts: `vlan`, `mpls` and `pppoes` move what stands
 * behind them.
 *
 * @throws PacketError FILTER_UNSUPPORTED, FILTER_SYNTAX for arithmetic that cannot be
 */
export function conditionOf(compilation: Compilation, syntax: Syntax): Condition {
  switch (syntax.kind) {
    case 'and':
    case 'or': {
      const left = conditionOf(compilation, syntax.left);
      const right = conditionOf(compilation, syntax.right);
      return syntax.kind === 'and' ? all(left, right) : any(left, right);
    }
    case 'not':
      return not(conditionOf(compilation, syntax.operand));
    default:
      return primitiveCondition(compilation, syntax);
  }
}

function primitiveCondition(compilation: Compilation, primitive: Primitive): Condition {
  const { span } = primitive;
  switch (primitive.kind) {
    case 'address':
      return addressCondition(compilation, primitive, span);
    case 'mac':
      return macCondition(compilation, primitive, span);
    case 'port':
      return portCondition(compilation, primitive, span);
    case 'protocol':
      return protocolCondition(compilation, primitive.name, span);
    case 'protocol-number':
      return numberCondition(compilation, primitive, span);
    case 'broadcast':
    case 'multicast':
      return castCondition(compilation, primitive, span);
    case 'vlan':
    case 'mpls':
    case 'pppoes':
    case 'pppoed':
      return encapsulationCondition(compilation, primitive, span);
    case 'llc':
      return llcCondition(compilation, primitive, span);
    case 'inbound':
    case 'outbound':
    case 'interface-index':
      return originCondition(compilation, primitive);
    case 'relation':
      return relationCondition(compilation, primitive);
  }
}
