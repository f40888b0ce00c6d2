// Sends numbered datagrams through the ordinary stack, to each port in turn, ten every five milliseconds: ADDRESS COUNT PORT...
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';

const [address, count, ...ports] = process.argv.slice(2);
const socket = createSocket('udp4');
for (let number = 0; number < Number(count); number++) {
  const datagram = Buffer.alloc(20);
  datagram.writeUInt32BE(number);
  const port = Number(ports[number % ports.length]);
  await new Promise<void>((resolve, reject) =>
    socket.send(datagram, port, address, (error) => (error === null ? resolve() : reject(error))),
  );
  if (number % 10 === 9) await sleep(5);
}
socket.close();
