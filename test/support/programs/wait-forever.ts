// Waits for packets that never come, as a process or as a worker thread: INTERFACE [QUEUE]. A line on standard input is thrown.
import { parentPort } from 'node:worker_threads';
import { openXdp } from '../xdp-session.js';

const [name, queue = '0'] = process.argv.slice(2);
const { socket } = await openXdp({ interface: name!, queue: Number(queue), mode: 'xdp-copy', receive: 'all' });
if (parentPort === null) {
  process.stdin.once('data', (text) => {
    throw new Error(String(text));
  });
  process.stdin.unref();
}
const waiting = socket.wait(() => false, {});
setTimeout(() => {
  if (parentPort === null) console.log('waiting');
  else parentPort.postMessage('waiting');
}, 50);
await waiting;
