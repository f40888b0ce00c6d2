// Sends numbered frames and receives what comes back: INTERFACE COUNT SIZE
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { readNumberedFrame, writeNumberedFrame } from '../frames.js';

const [name, count, size] = process.argv.slice(2);
const wanted = Number(count);
const length = Number(size);
const socket = await openSocket({ kernel: new LinuxKernel(), interface: name!, mode: 'xdp-copy', receive: 'all' });
const out = new PacketBatch(32);
const back = new PacketBatch(64);
let sent = 0;
let written = 0;
let received = 0;
let good = 0;
while (received < wanted) {
  // At most 256 on their way, so that no ring overflows.
  if (out.length === 0 && written < wanted && written - received < 256) {
    socket.allocate(out, Math.min(32, wanted - written));
    for (let i = 0; i < out.length; i++) {
      writeNumberedFrame(socket.bytes, out.offset[i]!, length, written++);
      out.size[i] = length;
    }
  }
  if (out.length > 0) sent += socket.send(out);
  if (socket.receive(back) === 0) {
    if (
      sent === written &&
      written - received >= Math.min(256, wanted - received) &&
      !(await socket.wait({ timeoutMilliseconds: 2000 }))
    )
      break;
    continue;
  }
  for (let i = 0; i < back.length; i++) {
    if (readNumberedFrame(socket.bytes, back.offset[i]!, back.size[i]!, length) === received++) good++;
  }
  socket.release(back);
}
await socket.close();
console.log(JSON.stringify({ sent, received, good }));
