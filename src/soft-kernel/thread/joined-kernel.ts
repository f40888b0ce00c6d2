import { Arena } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import { KernelClient } from './kernel-client.js';
import { linePort } from './line-port.js';
import { type AnswerMessage, type HostMessagePort, isKernelShare, type KernelShare } from './protocol.js';

/**
 * A soft kernel that another thread has started, joined by this one: a whole kernel, with sockets and packet buffers of this
 * thread's own. Which thread it is makes no difference on the data path: each rings the same doorbell, and the kernel polls all of
 * their sockets.
 *
 * Closing it closes this thread's sockets only. Until then it keeps its thread alive, as an open socket does. When the thread ends
 * without closing it, by force or by an error, the kernel closes its sockets; frames that it held of a packet buffer that others
 * use, too, are lost to them. Where message ports do not tell of their end (older browsers), that happens when the kernel is closed.
 */
export class JoinedSoftKernel extends KernelClient {
  readonly #port: HostMessagePort;

  /**
   * Joins. The arena that was shared becomes this thread's default arena.
   *
   * @param share what {@link KernelClient.share} gave the other thread; good for one thread, once
   * @throws PacketError INVALID_OPTION
   */
  constructor(share: KernelShare) {
    if (!isKernelShare(share)) {
      throw new PacketError('INVALID_OPTION', 'share: it is not what share() of a kernel returns', {
        remedy: 'post all of it, with its port in the list of what is transferred',
      });
    }
    const line = linePort(share.port);
    super(Arena.adopt(share.arena), share.doorbell, line);
    this.#port = share.port;
    line.listen((message) => {
      if (message === null) this.#kernelClosed();
      else this.answer(message as AnswerMessage);
    });
    line.ended(() =>
      this.hangUp(
        new PacketError('WRONG_STATE', "the kernel's thread has ended", { remedy: 'start a kernel and join that' }),
      ),
    );
  }

  /** Whoever started it has closed it. */
  #kernelClosed(): void {
    this.letGo();
    if (this.vacant) this.vacated();
  }

  protected async shutdown(): Promise<void> {
    if (!this.ended) {
      await this.call(undefined, 'leave').catch((error: unknown) => {
        if (!this.ended) throw error; // else the kernel has gone meanwhile, and has let go
      });
    }
    this.letGo();
    if (this.vacant) this.vacated();
  }

  protected vacated(): void {
    this.#port.close();
  }
}
