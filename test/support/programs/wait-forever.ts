// Waits for packets that never come, as a process or as a worker thread: INTERFACE [QUEUE]
import { parentPort } from 'node:worker_threads';
import { openXdp } from '../xdp-session.js';

const [name, queue = '0'] = process.argv.slice(2);
const { socket } = await openXdp({ interface: name!, queue: Number(queue), mode: 'xdp-copy', receive: 'all' });
const waiting = socket.wait(() => false, {});
setTimeout(() => {
  if (parentPort === null) console.log('waiting');
  else parentPort.postMessage('waiting');
}, 50);
await waiting;
