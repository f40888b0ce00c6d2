import { setImmediate as turn } from 'node:timers/promises';
import { parseMacAddress } from '../../packet/mac-address.js';
import { pinThisThread } from '../pinning.js';
import { sendLiveFrames } from './live-frames.js';

// `node source-process.js INTERFACE DESTINATION SOURCE LENGTH CPU`: sends frames of LENGTH bytes (no FCS) from one MAC address to
// another as fast as the kernel can, until standard input ends; then it writes how many it has sent. A CPU of -1 leaves the place to
// the scheduler.

/** EtherType for experiments (IEEE 802): no stack answers it. */
const EXPERIMENTAL = 0x88b5;
const AT_ONCE = 2 ** 18;

const [name, destination, source, length, cpu] = process.argv.slice(2);
const frame = new Uint8Array(Number(length));
frame.set(parseMacAddress(destination!)!, 0);
frame.set(parseMacAddress(source!)!, 6);
frame[12] = EXPERIMENTAL >> 8;
frame[13] = EXPERIMENTAL & 0xff;
if (Number(cpu) >= 0) pinThisThread(Number(cpu));
let stopped = false;
process.stdin.on('end', () => {
  stopped = true;
});
process.stdin.resume();
let sent = 0;
while (!stopped) {
  sent += await sendLiveFrames(name!, frame, AT_ONCE);
  await turn();
}
process.stdout.write(`${sent}\n`);
