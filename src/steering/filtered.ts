import { PacketError } from '../errors.js';
import { compileExpression } from '../filter/compile-expression.js';
import type { FilteredPackets } from './rules.js';

/** Whether a filter expression is given; whether it is one has not been checked. */
export function isFiltered(receive: unknown): receive is FilteredPackets {
  // Lists have something of that name, too.
  return typeof receive === 'object' && receive !== null && !Array.isArray(receive) && 'filter' in receive;
}

/** @throws PacketError INVALID_OPTION, FILTER_SYNTAX, FILTER_UNSUPPORTED */
export function checkFiltered(receive: FilteredPackets, option: string): FilteredPackets {
  const { filter, ...others } = receive;
  const [other] = Object.keys(others);
  if (other !== undefined) {
    throw new PacketError('INVALID_OPTION', `${option}: beside filter there is no ${other}`, {
      remedy: 'say all of it in the expression, or write rules',
    });
  }
  if (typeof filter !== 'string') {
    throw new PacketError('INVALID_OPTION', `${option}.filter: ${String(filter)} is no filter expression`, {
      remedy: `for example ${option}: { filter: 'udp port 53' }`,
    });
  }
  compileExpression(filter, { link: 'ethernet', tagMayBeBeside: false });
  return receive;
}
