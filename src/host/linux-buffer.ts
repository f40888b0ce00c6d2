import { Arena } from '../arena/arena.js';
import type { PageKind } from '../arena/page-source.js';
import { checkInteger, checkPowerOfTwo } from '../errors.js';
import { checkBoolean, checkChoice } from '../options.js';
import { framePoolBytes } from '../packet-buffer/frame-pool.js';
import { KERNEL_HEADROOM_BYTES, PacketBuffer, type PacketBufferOptions } from '../packet-buffer/packet-buffer.js';

/** A packet buffer with pages of its own from the Linux kernel. */
export interface LinuxBufferOptions extends Omit<PacketBufferOptions, 'pageSource'> {
  /**
   * Pages to lie on: `'4k'` (default), `'transparent-huge'` (advice: `buffer.pages` tells what was got) or `'huge'` (refused where the
   * machine has none reserved).
   */
  readonly pages?: PageKind;
  /** Whether other processes can have it, too, by `buffer.descriptor`; default false. */
  readonly shared?: boolean;
}

const KINDS: readonly PageKind[] = ['4k', 'transparent-huge', 'huge'];

/**
 * Makes a packet buffer of Linux pages: huge ones, or memory that a child process can have, too (S6). Both kernels work with it.
 *
 *     const buffer = await createLinuxBuffer({ frames: 4096, shared: true });
 *     spawn(process.execPath, ['child.js'], { stdio: ['inherit', 'inherit', 'inherit', buffer.descriptor, 'ipc'] });
 *     // in child.js: const buffer = await adoptLinuxBuffer(3);
 *
 * Frames and their pool are common to all processes, rings never are: each opens sockets of its own with it, on queues of its own. A
 * packet goes from one process to the other by its place, `offset - buffer.base`, and belongs to who was told last. A child that dies
 * takes the frames it held with it; once it has ended, `buffer.reset()` makes all frames free again. Processes that share a
 * buffer trust each other with what is in it: nothing that one writes there makes another crash or leave the buffer.
 *
 * @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED, MODE_UNSUPPORTED (no huge pages), UNSUPPORTED_PLATFORM, SYSTEM_CALL
 */
export async function createLinuxBuffer(options: LinuxBufferOptions = {}): Promise<PacketBuffer> {
  const { pages = '4k', shared = false, ...common } = options;
  checkChoice('pages', pages, KINDS);
  checkBoolean('shared', shared);
  const arena = common.arena ?? Arena.default();
  return PacketBuffer.create({ ...common, arena, pageSource: await mappedPages(arena, pages, shared) });
}

/**
 * Adopts the packet buffer that another process has made with `shared: true`; it lies at another place in this one's arena. `close` ends
 * this process's part only. The descriptor stays the caller's and may be closed at once.
 *
 * @param descriptor as this process has it: 3 for the first behind standard error in `stdio`
 * @throws PacketError INVALID_OPTION (it is no such memory), ARENA_EXHAUSTED, UNSUPPORTED_PLATFORM, SYSTEM_CALL
 */
export async function adoptLinuxBuffer(
  descriptor: number,
  options: { readonly arena?: Arena } = {},
): Promise<PacketBuffer> {
  const arena = options.arena ?? Arena.default();
  const source = await mappedPages(arena, '4k', true);
  const { bytes, ...share } = source.adopt(descriptor);
  try {
    // Whoever can write the memory could have written this, too.
    const { frames, frameSize, headroom, sendFrames } = share;
    checkInteger('frames of the shared buffer', frames, 8, 2 ** 20);
    checkPowerOfTwo('frameSize of the shared buffer', frameSize, 2048, 65536);
    checkInteger('headroom of the shared buffer', headroom, 0, frameSize - KERNEL_HEADROOM_BYTES - 64);
    checkInteger('sendFrames of the shared buffer', sendFrames, 0, frames);
    checkInteger('bytes of the shared buffer', frames * frameSize + framePoolBytes(frames), 1, bytes);
  } catch (error) {
    source.free();
    throw error;
  }
  return PacketBuffer.adopt(share, arena, source);
}

async function mappedPages(arena: Arena, pages: PageKind, shared: boolean) {
  const { SystemCalls } = await import('../linux-kernel/system-calls.js');
  const { MappedPages } = await import('../linux-kernel/mapped-pages.js');
  return new MappedPages(await SystemCalls.load(), arena, { pages, shared });
}
