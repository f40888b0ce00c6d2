// Prints UDP packets as they arrive, until Ctrl-C or for half a second: node receive.js [INTERFACE]
import { formatIpAddress, formatMacAddress, openSocket, readIpAddress } from 'tpacket4';

const [name = 'soft:generator,size=128,flows=8,rate=1000,count=10'] = process.argv.slice(2);
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
setTimeout(() => stop.abort(), 500).unref();

await using socket = await openSocket({ interface: name, receive: [{ protocol: 'udp', port: 9 }] });

console.log(`${name}: mode ${socket.mode.got}`);
for (const { mode, why } of socket.mode.refused) console.log(`  not ${mode}: ${why}`);

let count = 0;
for await (const { data } of socket.packets({ signal: stop.signal })) {
  // `data` is the packet where it lies; it is valid until the next one is asked for.
  const ipv4 = data[12] === 0x08 && data[13] === 0x00;
  const who = ipv4 ? formatIpAddress(readIpAddress(data, 26, 4)) : formatMacAddress(data, 6);
  console.log(`${++count}: ${data.length} bytes from ${who}`);
}
console.log('lost:', (await socket.statistics()).drops);
