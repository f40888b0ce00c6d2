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
  | 'NOT_ETHERNET' // packets of the interface begin with something else than an Ethernet header
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
  | 'PROGRAM_CORRUPT' // the bytes of an eBPF object or program are damaged
  | 'PROGRAM_REFUSED' // the verifier does not let an eBPF program run; the message says why and where
  | 'MAP_FULL'
  | 'MAP_ENTRY' // the entry exists and should not, or the other way round
  | 'MAP_UNSUPPORTED' // a map of this type or with these sizes and flags cannot be, or lacks the operation
  | 'OWNERSHIP' // the frame-ownership checker found a double post, a use after send or a leak
  | 'NO_PRIVILEGE'
  | 'UNSUPPORTED_PLATFORM'
  | 'SYSTEM_CALL'; // any other failed system call; `syscall` and `errno` say which

/** What an error carries beside its message. */
export interface ErrorFacts {
  /** The system call that failed, where there was one. */
  readonly syscall?: string;
  /** Its errno (positive). */
  readonly errno?: number;
  /** What the user can do about it, as a sentence or a command. */
  readonly remedy: string;
  /** What was thrown below, where an error was passed on with more to say. */
  readonly cause?: unknown;
}

/** The one error type of tpacket4. The data path never throws it; set-up and control calls do. Each says what can be done about it. */
export class PacketError extends Error {
  /** Tells it from other errors where `instanceof` cannot: behind `postMessage`, in a second copy of the package. */
  override readonly name = 'PacketError';
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** The system call that failed, with its option or command ("bind AF_XDP"); undefined where none was made. */
  readonly syscall: string | undefined;
  /** Its errno, positive. */
  readonly errno: number | undefined;
  /** What the user can do about it, as a sentence or a command. */
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts) {
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

  /** The error that {@link PacketError.toJSON} has taken apart, without its cause and its stack. */
  static fromJSON({ code, message, syscall, errno, remedy }: PacketErrorData): PacketError {
    return new PacketError(code, message, {
      remedy,
      ...(syscall !== undefined && { syscall }),
      ...(errno !== undefined && { errno }),
    });
  }
}

/** A {@link PacketError} as plain data: its members of the same names. */
export type PacketErrorData = Pick<PacketError, 'code' | 'message' | 'syscall' | 'errno' | 'remedy'>;

/** Checks an integer option against its range; names option, value and range otherwise. */
export function checkInteger(option: string, value: unknown, minimum: number, maximum: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < minimum || value > maximum) {
    throw new PacketError(
      'INVALID_OPTION',
      `${option}: ${String(value)} is not a whole number from ${minimum} to ${maximum}`,
      { remedy: nearest(value, Math.floor, minimum, maximum) },
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
      { remedy: nearest(checked, (number) => 2 ** Math.floor(Math.log2(number)), minimum, maximum) },
    );
  }
  return checked;
}

/**
 * What to give instead of a number that will not do: the nearest that will.
 *
 * @param below the nearest at or below a number within the range
 */
export function nearest(value: unknown, below: (number: number) => number, minimum: number, maximum: number): string {
  if (typeof value !== 'number' || Number.isNaN(value)) return `give a number, such as ${minimum}`;
  if (value < minimum) return `the least is ${minimum}`;
  if (value > maximum) return `the most is ${maximum}`;
  return `the nearest below is ${below(value)}`;
}
