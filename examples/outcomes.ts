// Learns of every packet whether it was sent (the talk's I9): node outcomes.js
// For radio and other users whose data is only good now: here the link goes down for a while.
import { OUTCOME_SENT, openSocket, PacketBatch, SoftKernel } from 'tpacket4';

const kernel = new SoftKernel();
await kernel.addNic({ name: 'radio0' });
const socket = await openSocket({ kernel, interface: 'radio0', mode: 'v4-zc', receive: 'none', outcomes: true });

const batch = new PacketBatch(16);
const done = new PacketBatch(64);
for (const link of [true, false, true]) {
  await kernel.setLink('radio0', link);
  socket.allocate(batch);
  for (let i = 0; i < batch.length; i++) {
    socket.bytes.fill(0xff, batch.offset[i]!, batch.offset[i]! + 60);
    batch.size[i] = 60;
  }
  const posted = socket.send(batch);
  const errors = new Map<number, number>();
  for (let back = 0; back < posted; ) {
    const count = socket.completions(done);
    back += count;
    for (let i = 0; i < count; i++) errors.set(done.outcome[i]!, (errors.get(done.outcome[i]!) ?? 0) + 1);
    socket.release(done); // or send them again: the frames and their contents are ours
    if (count === 0) kernel.run(1); // the inline kernel works when it is asked to
  }
  const sent = errors.get(OUTCOME_SENT) ?? 0;
  errors.delete(OUTCOME_SENT);
  const failed = [...errors].map(([errno, count]) => `${count} failed with errno ${errno}`);
  console.log(`link ${link ? 'up' : 'down'}: ${sent} sent${failed.length > 0 ? `, ${failed.join(', ')}` : ''}`);
}
await socket.close();
await kernel.close();
