// Sends a line over a TCP connection through the ordinary stack, and writes what comes back: ADDRESS PORT LINE
import { connect } from 'node:net';

const [address, port, line] = process.argv.slice(2);
const socket = connect({ host: address!, port: Number(port) });
socket.setTimeout(5000, () => socket.destroy(new Error('no answer')));
socket.setEncoding('utf8').on('data', (text) => process.stdout.write(text));
socket.end(`${line}\n`);
