// Stands in for an ssh session: `serve ADDRESS` listens on port 22 there, `connect ADDRESS` holds a connection to it. Says "connected".
import { connect, createServer } from 'node:net';

const [role, address] = process.argv.slice(2);
const connected = (): void => console.log('connected');
if (role === 'serve') {
  createServer(connected).listen(22, address, () => console.log('listening'));
} else {
  connect(22, address!, connected);
}
