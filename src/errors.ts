/**
 * Stable codes of everything that can go wrong outside the data path. Programs branch on the code; people read the message
 * and the remedy.
 */
export type ErrorCode =
  /** An argument is out of range; the message names option, value and allowed range. */
  | 'INVALID_OPTION'
  /** No room left in the arena for a packet buffer or ring. */
  | 'ARENA_EXHAUSTED'
  /** A packet buffer has no frame left to receive into. */
  | 'NO_FRAMES'
  /** There is no interface of this name, or it has gone while a socket waited. */
  | 'NO_INTERFACE'
  /** There is no such queue pair; or the mode needs one to be named, or cannot be bound to one alone. */
  | 'NO_QUEUE'
  /** Packets of the interface begin with something else than an Ethernet header. */
  | 'NOT_ETHERNET'
  /** A device of this name is there already. */
  | 'INTERFACE_EXISTS'
  /** Another socket owns the queue in zero-copy mode. */
  | 'QUEUE_BUSY'
  /** A program of somebody else is attached to the interface. */
  | 'INTERFACE_BUSY'
  /** Taking all packets would cut off an ssh session over the interface. */
  | 'GUARDED_INTERFACE'
  /** Zero-copy would hand this socket packets that are not its own (X2). */
  | 'QUEUE_SHARED'
  /** The device's driver lacks the zero-copy operations. */
  | 'NO_DRIVER_ZEROCOPY'
  /** The kernel or the interface cannot do this mode at all. */
  | 'MODE_UNSUPPORTED'
  /** Every rung of the ladder, or the required one, was refused. */
  | 'MODE_REFUSED'
  /** The interface's packets do not fit the buffer's frames. */
  | 'FRAME_TOO_SMALL'
  /** Sockets are registered with the packet buffer that is to be closed or reset. */
  | 'BUFFER_IN_USE'
  /** The device cannot steer what the receive rules ask for. */
  | 'RULES_UNSUPPORTED'
  /** More rules than the device, or a program of the kernel, can hold; what was received before stays. */
  | 'FLOW_TABLE_FULL'
  /** A control call on a socket that is closed. */
  | 'SOCKET_CLOSED'
  /** The call came out of order (bind before rings, say). */
  | 'WRONG_STATE'
  /** A capture file is damaged; what was readable before stays readable. */
  | 'CAPTURE_CORRUPT'
  /** The bytes are no capture file of a format that is read here, or its packets are not Ethernet. */
  | 'CAPTURE_UNSUPPORTED'
  /** The bytes of an eBPF object or program are damaged, or its assembler text is wrong. */
  | 'PROGRAM_CORRUPT'
  /** An eBPF object is whole, but needs what is not there: another byte order, settings of the kernel, types of programs other than XDP. */
  | 'PROGRAM_UNSUPPORTED'
  /** The verifier does not let an eBPF program run; the message says why and where. */
  | 'PROGRAM_REFUSED'
  /** An eBPF map has as many entries as it may. */
  | 'MAP_FULL'
  /** The entry exists and should not, or the other way round. */
  | 'MAP_ENTRY'
  /** A map of this type or with these sizes and flags cannot be, or lacks the operation. */
  | 'MAP_UNSUPPORTED'
  /** A filter expression cannot be read; the message shows where. */
  | 'FILTER_SYNTAX'
  /** A filter expression is right, but not for this link type, or its program would be too long. */
  | 'FILTER_UNSUPPORTED'
  /** Instructions that are no classic BPF program. */
  | 'FILTER_CORRUPT'
  /** The frame-ownership checker found a double post, a use after send or a leak. */
  | 'OWNERSHIP'
  /** The process lacks a capability, or a right to a folder, which the remedy names. */
  | 'NO_PRIVILEGE'
  /** There is no Linux kernel here, or none on a processor that system calls can be made on. */
  | 'UNSUPPORTED_PLATFORM'
  /** Any other failed system call; `syscall` and `errno` say which. */
  | 'SYSTEM_CALL';

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
