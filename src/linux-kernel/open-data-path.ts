import type { Arena } from '../arena/arena.js';
import type { DataPathShare } from '../kernel/contract.js';
import { SystemCalls } from './system-calls.js';
import { XdpDataPath, type XdpDataPathShare } from './xdp-data-path.js';

/** The data path of a socket that another thread of this process has set up. @throws PacketError UNSUPPORTED_PLATFORM */
export async function openDataPath(share: DataPathShare, arena: Arena): Promise<XdpDataPath> {
  return new XdpDataPath(await SystemCalls.load(), arena, share as XdpDataPathShare);
}
