// Sends frames by sendLiveFrames: INTERFACE COUNT BYTES

import { sendLiveFrames } from '../../../src/bench/linux/live-frames.js';
import { writeNumberedFrame } from '../frames.js';

const [name, count, size] = process.argv.slice(2);
const frame = new Uint8Array(Number(size));
writeNumberedFrame(frame, 0, frame.length, 0);
const start = performance.now();
const sent = await sendLiveFrames(name!, frame, Number(count));
console.log(JSON.stringify({ sent, milliseconds: performance.now() - start }));
