import { ENETDOWN, ENXIO } from './constants.js';

/**
 * What the calls of a socket's data path tell of its interface. The kernel keeps an error for a socket (SO_ERROR) until some call takes it,
 * and that may be the `sendto` of a kick, whose result nobody looks at; and of an interface that goes down AF_XDP sockets, and packet
 * sockets that only send, are told by their calls alone. So each answer is noted here, and told to those who wait: once, until a call
 * has worked again.
 */
export class LinkState {
  #down = false;
  #untold = 0;

  /** Notes how a call ended: 0, or an errno. */
  note(errno: number): void {
    if (errno === ENETDOWN) {
      if (!this.#down) this.#untold = ENETDOWN;
      this.#down = true;
    } else if (errno === ENXIO) {
      // Sockets are unbound when their interface is unregistered. Without ENETDOWN before, it is a driver that wants a program first.
      if (this.#down) this.#untold = ENXIO;
    } else this.#down = false; // other errors come after the look at the interface
  }

  /** The errno to tell now, 0 for none: ENETDOWN, or ENXIO when the interface is gone. */
  take(): number {
    const errno = this.#untold;
    this.#untold = 0;
    return errno;
  }

  /** Somebody was told by other means that the interface is down. */
  told(): void {
    this.#down = true;
    this.#untold = 0;
  }
}
