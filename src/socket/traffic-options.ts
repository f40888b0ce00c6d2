import { PacketError } from '../errors.js';
import type { BindRequest } from '../kernel/contract.js';
import type { OpenSocketOptions } from './open-socket.js';

/**
 * The options that say which of an interface's packets a socket hears, and how it sends, as the kernel contract has them.
 *
 * @throws PacketError INVALID_OPTION
 */
export function trafficOptions(
  options: OpenSocketOptions,
): Pick<BindRequest, 'promiscuous' | 'bypassQueueing' | 'ignoreOutgoing' | 'fanout'> {
  const { receive, fanout } = options;
  const promiscuous = checkBoolean('promiscuous', options.promiscuous, receive !== 'none');
  return {
    promiscuous: promiscuous && receive !== 'none',
    bypassQueueing: checkBoolean('bypassQueueing', options.bypassQueueing, true),
    ignoreOutgoing: checkBoolean('ignoreOutgoing', options.ignoreOutgoing, true),
    ...(fanout !== undefined && { fanout }),
  };
}

function checkBoolean(option: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value === 'boolean') return value;
  throw new PacketError('INVALID_OPTION', `${option}: ${String(value)} is not true or false`);
}
