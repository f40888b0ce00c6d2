// Holds NAPI settings of an interface while a socket is open: INTERFACE; "close" on standard input closes it, and "closed" follows.
import { once } from 'node:events';
import { openSocket } from '../../../src/host/open-socket.js';

const [name] = process.argv.slice(2);
const socket = await openSocket({
  interface: name!,
  mode: 'xdp-copy',
  receive: 'all',
  napi: { deferHardIrqs: 2, groFlushTimeoutNanoseconds: 200_000 },
});
console.log('open');
await once(process.stdin, 'data');
await socket.close();
console.log('closed');
process.stdin.destroy();
