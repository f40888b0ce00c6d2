import { endianness } from 'node:os';
import { PacketError } from '../errors.js';
import { MSG_DONTWAIT, MSG_TRUNC } from './constants.js';
import { Struct } from './struct.js';

/** Numbers of the calls that have no function in the C library. */
interface CallNumbers {
  readonly bpf: number;
  readonly perfEventOpen: number;
}

/** Those of the machines that share a table (asm-generic/unistd.h). */
const GENERIC: CallNumbers = { bpf: 280, perfEventOpen: 241 };
const CALL_NUMBERS: Readonly<Partial<Record<string, CallNumbers>>> = {
  x64: { bpf: 321, perfEventOpen: 298 },
  ...{ arm64: GENERIC, riscv64: GENERIC, loong64: GENERIC },
};
/** PERF_FLAG_FD_CLOEXEC */
const PERF_CLOSE_ON_EXEC = 8;

/** A C function as koffi hands it out. */
type Native = (...arguments_: unknown[]) => number | bigint;

/** What a descriptor is watched for. An error is always told. */
export interface WatchedEvents {
  readonly readable: boolean;
  readonly writable: boolean;
}

/** Watches a descriptor on the event loop. The callback runs outside any promise or timer: it must hand over by `setImmediate`. */
export interface DescriptorWatch {
  start(events: WatchedEvents, callback: () => void): void;
  stop(): void;
  close(): void;
}

/** The part of koffi that is used here. */
interface Koffi {
  load(path: string | null): { func(declaration: string): Native };
  address(view: ArrayBufferView): bigint;
  errno(): number;
  node: { poll(descriptor: number, events: WatchedEvents, callback: () => void): DescriptorWatch };
}

/**
 * The system calls that the Linux kernel behind the contract is made of. This is the only file that knows the foreign
 * function library; it loads it when the first socket is made, so that programs on the soft kernel never need it.
 *
 * Every call returns its result, or minus its errno: nothing here throws, so that the data path may use it. Descriptors are
 * plain numbers; whoever made one closes it.
 */
export class SystemCalls {
  static #loading: Promise<SystemCalls> | undefined;
  static #loaded: SystemCalls | undefined;
  readonly #koffi: Koffi;
  readonly #numbers: CallNumbers;
  readonly #socket: Native;
  readonly #setsockopt: Native;
  readonly #getsockopt: Native;
  readonly #bind: Native;
  readonly #mmap: Native;
  readonly #send: Native;
  readonly #recvfrom: Native;
  readonly #poll: Native;
  readonly #ioctl: Native;
  readonly #close: Native;
  readonly #bpf: Native;
  readonly #perfEventOpen: Native;
  readonly #nameToIndex: Native;
  readonly #madvise: Native;
  readonly #memfdCreate: Native;
  readonly #fcntl: Native;
  readonly #flock: Native;
  /** struct pollfd, for `poll`. */
  readonly #pollfd = new Struct(8);

  private constructor(koffi: Koffi, numbers: CallNumbers) {
    this.#koffi = koffi;
    this.#numbers = numbers;
    const c = loadC(koffi);
    this.#socket = c.func('int socket(int, int, int)');
    this.#setsockopt = c.func('int setsockopt(int, int, int, void*, int)');
    this.#getsockopt = c.func('int getsockopt(int, int, int, void*, void*)');
    this.#bind = c.func('int bind(int, void*, int)');
    this.#mmap = c.func('int64_t mmap(int64_t, size_t, int, int, int, int64_t)');
    this.#send = c.func('long send(int, void*, size_t, int)');
    this.#recvfrom = c.func('long recvfrom(int, void*, size_t, int, void*, void*)');
    this.#poll = c.func('int poll(void*, unsigned long, int)');
    this.#ioctl = c.func('int ioctl(int, unsigned long, void*)');
    this.#close = c.func('int close(int)');
    this.#bpf = c.func('long syscall(long, int, void*, int)');
    this.#perfEventOpen = c.func('long syscall(long, void*, int, int, int, unsigned long)');
    this.#madvise = c.func('int madvise(int64_t, size_t, int)');
    this.#memfdCreate = c.func('int memfd_create(const char*, unsigned int)');
    this.#fcntl = c.func('int fcntl(int, int, long)');
    this.#flock = c.func('int flock(int, int)');
    this.#nameToIndex = c.func('unsigned int if_nametoindex(const char*)');
  }

  /**
   * The system calls of this process.
   *
   * @throws PacketError UNSUPPORTED_PLATFORM off Linux, on a machine that is not 64-bit little-endian, or where koffi does
   *   not load
   */
  static load(): Promise<SystemCalls> {
    SystemCalls.#loading ??= SystemCalls.#load(process.platform, process.arch).then((calls) => {
      SystemCalls.#loaded = calls;
      return calls;
    });
    return SystemCalls.#loading;
  }

  /** What `load` has made; undefined before, and where it cannot. */
  static get loaded(): SystemCalls | undefined {
    return SystemCalls.#loaded;
  }

  /** `load` for a given platform and machine, so that refusals can be tested anywhere. */
  static async loadFor(platform: string, machine: string): Promise<SystemCalls> {
    return SystemCalls.#load(platform, machine);
  }

  static async #load(platform: string, machine: string): Promise<SystemCalls> {
    const remedy = "use the soft kernel (interface 'soft:...'), which runs everywhere";
    if (platform !== 'linux') {
      throw new PacketError('UNSUPPORTED_PLATFORM', `packet sockets on real interfaces need Linux, not ${platform}`, {
        remedy,
      });
    }
    const numbers = CALL_NUMBERS[machine];
    if (numbers === undefined || endianness() !== 'LE') {
      throw new PacketError(
        'UNSUPPORTED_PLATFORM',
        `packet sockets on real interfaces do not know the machine ${machine}`,
        { remedy },
      );
    }
    try {
      const module = (await import('koffi')) as unknown as { default: Koffi };
      return new SystemCalls(module.default, numbers);
    } catch (cause) {
      throw new PacketError(
        'UNSUPPORTED_PLATFORM',
        `the package koffi, which makes the system calls, does not load: ${String(cause)}`,
        {
          cause,
          remedy: `reinstall it (npm install koffi), or ${remedy}`,
        },
      );
    }
  }

  /** Where a shared memory or a structure lies in this process. Both stay there. */
  address(memory: ArrayBufferView | Struct): bigint {
    return this.#koffi.address(memory instanceof Struct ? memory.bytes : memory);
  }

  #result(value: number | bigint): number {
    return value < 0 ? -this.#koffi.errno() : Number(value);
  }

  socket(domain: number, type: number, protocol: number): number {
    return this.#result(this.#socket(domain, type, protocol));
  }

  setsockopt(descriptor: number, level: number, option: number, value: Struct): number {
    return this.#result(this.#setsockopt(descriptor, level, option, value.bytes, value.length));
  }

  setsockoptU32(descriptor: number, level: number, option: number, value: number): number {
    return this.setsockopt(descriptor, level, option, new Struct(4).u32(0, value));
  }

  /** Fills in `value`. @returns bytes that the kernel wrote, or minus errno */
  getsockopt(descriptor: number, level: number, option: number, value: Struct): number {
    const length = new Struct(4).u32(0, value.length);
    const result = this.#result(this.#getsockopt(descriptor, level, option, value.bytes, length.bytes));
    return result < 0 ? result : length.readU32(0);
  }

  bind(descriptor: number, address: Struct): number {
    return this.#result(this.#bind(descriptor, address.bytes, address.length));
  }

  /**
   * Replaces the pages at an address by others (`flags` must hold MAP_FIXED, which is all this code uses).
   * @param offset bytes; for sockets it names the ring
   * @returns 0 or minus errno
   */
  mmap(address: bigint, length: number, protection: number, flags: number, descriptor: number, offset: number): number {
    const at = this.#mmap(address, length, protection, flags, descriptor, offset);
    return BigInt(at) === address ? 0 : -this.#koffi.errno();
  }

  madvise(address: bigint, length: number, advice: number): number {
    return this.#result(this.#madvise(address, length, advice));
  }

  /** Makes a file that is memory. @returns a descriptor or minus errno */
  memfdCreate(name: string, flags: number): number {
    return this.#result(this.#memfdCreate(name, flags));
  }

  fcntl(descriptor: number, command: number, argument: number): number {
    return this.#result(this.#fcntl(descriptor, command, argument));
  }

  /** Locks the file behind a descriptor, until that is closed. */
  flock(descriptor: number, operation: number): number {
    return this.#result(this.#flock(descriptor, operation));
  }

  /** Data path: asks the kernel to look at the TX ring, without waiting. @returns 0 or minus errno */
  sendNothing(descriptor: number): number {
    return this.#send(descriptor, null, 0, MSG_DONTWAIT) < 0 ? -this.#koffi.errno() : 0;
  }

  /** Data path: asks the kernel to look at the fill ring, without waiting. @returns 0 or minus errno */
  receiveNothing(descriptor: number): number {
    return this.#recvfrom(descriptor, null, 0, MSG_DONTWAIT, null, null) < 0 ? -this.#koffi.errno() : 0;
  }

  /** Sends one datagram. @returns bytes sent, or minus errno */
  send(descriptor: number, message: Struct): number {
    return this.#result(this.#send(descriptor, message.bytes, message.length, 0));
  }

  /**
   * Receives one datagram without waiting.
   * @returns its length, which is more than `into` has when its end was cut off, or minus errno
   */
  receive(descriptor: number, into: Struct): number {
    return this.#result(this.#recvfrom(descriptor, into.bytes, into.length, MSG_DONTWAIT | MSG_TRUNC, null, null));
  }

  /** Blocks this thread until the descriptor has one of `events`. @returns the events it has, 0 when the time is over, or minus errno */
  poll(descriptor: number, events: number, timeoutMilliseconds: number): number {
    this.#pollfd.i32(0, descriptor).u16(4, events).u16(6, 0);
    const result = this.#result(this.#poll(this.#pollfd.bytes, 1, timeoutMilliseconds));
    return result <= 0 ? result : this.#pollfd.readU32(4) >>> 16;
  }

  /** Watches a descriptor on the event loop of this thread, level-triggered. */
  watch(descriptor: number, events: WatchedEvents, callback: () => void): DescriptorWatch {
    return this.#koffi.node.poll(descriptor, events, callback);
  }

  ioctl(descriptor: number, request: number, argument: Struct): number {
    const result = this.#result(this.#ioctl(descriptor, request, argument.bytes));
    argument.keep();
    return result;
  }

  close(descriptor: number): number {
    return this.#result(this.#close(descriptor));
  }

  /** bpf(2). @returns a descriptor, 0, or minus errno */
  bpf(command: number, attributes: Struct): number {
    const result = this.#result(this.#bpf(this.#numbers.bpf, command, attributes.bytes, attributes.length));
    attributes.keep();
    return result;
  }

  /** perf_event_open(2) for all processes on one CPU. @returns a descriptor or minus errno */
  perfEventOpen(attributes: Struct, cpu: number): number {
    const { perfEventOpen } = this.#numbers;
    return this.#result(this.#perfEventOpen(perfEventOpen, attributes.bytes, -1, cpu, -1, PERF_CLOSE_ON_EXEC));
  }

  /** Index of an interface of this thread's network namespace; 0 when there is none of that name. */
  interfaceIndex(name: string): number {
    return Number(this.#nameToIndex(name));
  }
}

function loadC(koffi: Koffi): { func(declaration: string): Native } {
  try {
    return koffi.load('libc.so.6');
  } catch {
    return koffi.load(null); // musl has no such file; node itself is linked to it
  }
}
