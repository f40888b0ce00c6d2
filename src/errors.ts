/**
 * Stable codes of everything that can go wrong outside the data path. Programs branch on the code; people read the message
 * and the remedy.
 */
export type ErrorCode =
  | 'INVALID_OPTION' // an argument is out of range; the message names option, value and allowed range
  | 'ARENA_EXHAUSTED' // no room left in the arena for a packet buffer or ring
  | 'NO_FRAMES' // a packet buffer has no frame left to receive into
  | 'NO_INTERFACE'
  | 'NO_QUEUE'
  | 'INTERFACE_EXISTS'
  | 'QUEUE_BUSY' // another socket owns the queue in zero-copy mode
  | 'INTERFACE_BUSY' // a program of somebody else is attached to the interface
  | 'GUARDED_INTERFACE' // taking all packets would cut off an ssh session over the interface
  | 'QUEUE_SHARED' // zero-copy would hand this socket packets that are not its own (X2)
  | 'NO_DRIVER_ZEROCOPY' // the device's driver lacks the zero-copy operations
  | 'MODE_UNSUPPORTED' // the kernel or the interface cannot do this mode at all
  | 'MODE_REFUSED' // every rung of the ladder, or the required one, was refused
  | 'FRAME_TOO_SMALL' // the interface's packets do not fit the buffer's frames
  | 'BUFFER_IN_USE'
  | 'RULES_UNSUPPORTED' // the device cannot steer what the receive rules ask for
  | 'FLOW_TABLE_FULL'
  | 'SOCKET_CLOSED'
  | 'WRONG_STATE' // the call came out of order (bind before rings, say)
  | 'CAPTURE_CORRUPT' // a capture file is damaged; what was readable before stays readable
  | 'CAPTURE_UNSUPPORTED'
  | 'OWNERSHIP' // the frame-ownership checker found a double post, a use after send or a leak
  | 'NO_PRIVILEGE'
  | 'UNSUPPORTED_PLATFORM'
  | 'SYSTEM_CALL'; // any other failed system call; `syscall` and `errno` say which

/** What an error can carry beside its message. */
export interface ErrorFacts {
  /** The system call that failed, where there was one. */
  readonly syscall?: string;
  /** Its errno (positive). */
  readonly errno?: number;
  /** What the user can do about it, as a sentence or a command. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** The one error type of tpacket4. The data path never throws it; set-up and control calls do. */
export class PacketError extends Error {
  override readonly name = 'PacketError';
  readonly code: ErrorCode;
  readonly syscall: string | undefined;
  readonly errno: number | undefined;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.syscall = facts.syscall;
    this.errno = facts.errno;
    this.remedy = facts.remedy;
  }

  /** Plain data, so that an error survives `postMessage` between threads. */
  toJSON(): PacketErrorData {
    const { code, message, syscall, errno, remedy } = this;
    return { code, message, syscall, errno, remedy };
  }

  static fromJSON(data: PacketErrorData): PacketError {
    const facts: { syscall?: string; errno?: number; remedy?: string } = {};
    if (data.syscall !== undefined) facts.syscall = data.syscall;
    if (data.errno !== undefined) facts.errno = data.errno;
    if (data.remedy !== undefined) facts.remedy = data.remedy;
    return new PacketError(data.code, data.message, facts);
  }
}

/** A {@link PacketError} as plain data. */
export interface PacketErrorData {
  readonly code: ErrorCode;
  readonly message: string;
  readonly syscall: string | undefined;
  readonly errno: number | undefined;
  readonly remedy: string | undefined;
}

/** Checks an integer option against its range; names option, value and range otherwise. */
export function checkInteger(option: string, value: unknown, minimum: number, maximum: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < minimum || value > maximum) {
    throw new PacketError(
      'INVALID_OPTION',
      `${option}: ${String(value)} is not a whole number from ${minimum} to ${maximum}`,
    );
  }
  return value;
}

/** Checks a power-of-two option against its range; names option, value and range otherwise. */
export function checkPowerOfTwo(option: string, value: unknown, minimum: number, maximum: number): number {
  const checked = checkInteger(option, value, minimum, maximum);
  if ((checked & (checked - 1)) !== 0) {
    throw new PacketError(
      'INVALID_OPTION',
      `${option}: ${checked} is not a power of two (from ${minimum} to ${maximum})`,
    );
  }
  return checked;
}
