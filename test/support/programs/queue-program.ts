// A queue's program for tests, told by its data how to behave.
import { PacketError } from '../../../src/errors.js';
import type { QueueContext } from '../../../src/host/run-queues.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';

interface Behaviour {
  readonly how: 'events' | 'blocking' | 'deaf' | 'throw' | 'exit';
  /** The queue that misbehaves. */
  readonly queue?: number;
  readonly packets: number;
}

export default async function program(socket: PacketSocket, context: QueueContext): Promise<object> {
  const { how, queue, packets: wanted } = context.data as Behaviour;
  if (how === 'deaf') for (;;) performance.now();
  const batch = new PacketBatch(16);
  let packets = 0;
  while (packets < wanted && !context.stopping) {
    const count = socket.receive(batch);
    packets += count;
    socket.release(batch);
    if (count > 0) continue;
    if (how === 'blocking' ? !socket.waitBlocking({ timeoutMilliseconds: 5000 }) : !(await socket.wait())) break;
  }
  if (context.queue === queue && how === 'throw') {
    throw new PacketError('OWNERSHIP', `queue ${queue} fails`, { remedy: 'none' });
  }
  if (context.queue === queue && how === 'exit') process.exit(3);
  return { queue: context.queue, packets };
}
