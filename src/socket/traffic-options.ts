import type { BindRequest } from '../kernel/contract.js';
import type { OpenSocketOptions } from './open-socket.js';

/**
 * The options that say which of an interface's packets a socket hears, and how it sends, as the kernel contract has them. They were checked
 * before.
 */
export function trafficOptions(
  options: OpenSocketOptions,
): Pick<BindRequest, 'promiscuous' | 'bypassQueueing' | 'ignoreOutgoing' | 'fanout'> {
  const { receive, promiscuous = true, bypassQueueing = true, ignoreOutgoing = true, fanout } = options;
  return {
    promiscuous: promiscuous && receive !== 'none',
    bypassQueueing,
    ignoreOutgoing,
    ...(fanout !== undefined && { fanout }),
  };
}
