import type { HostMessagePort, LinePort } from './protocol.js';

/** One end of a message channel, of a browser or of Node. */
export function linePort(port: HostMessagePort): LinePort {
  return {
    post: (message, transfer = []) => port.postMessage(message, [...transfer]),
    listen(receive) {
      port.onmessage = ({ data }) => receive(data);
    },
    ended: (tell) => port.addEventListener('close', tell, { once: true }),
    close: () => port.close(),
  };
}
