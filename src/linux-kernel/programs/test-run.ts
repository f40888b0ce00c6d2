import { PacketError } from '../../errors.js';
import { BPF_PROG_TEST_RUN, EINTR, EINVAL, ENOMEM, ETH_HLEN } from '../constants.js';
import { Struct } from '../struct.js';
import type { Meaning } from '../system-call-error.js';
import type { SystemCalls } from '../system-calls.js';
import { bpfError } from './bpf-error.js';

/** Room for what a program adds to a packet. */
const ADDED_BYTES = 4096;
/** Of struct xdp_md up to rx_queue_index. */
const CONTEXT_BYTES = 20;
/** How often a run is begun again that a signal has ended. */
const MOST_INTERRUPTIONS = 100;

/** Where a program takes a packet to have come from. */
export interface TestOrigin {
  readonly interfaceIndex: number;
  readonly queue: number;
}

/** What a run came to. */
export interface TestResult {
  /** What the program returned. */
  readonly verdict: number;
  /** Nanoseconds of one run, on average. */
  readonly nanoseconds: number;
  /** The packet as the program left it. */
  readonly packet: Uint8Array;
}

/** Runs loaded XDP programs on packets of one's choice (bpf(2), BPF_PROG_TEST_RUN); nothing is sent anywhere. */
export class TestRuns {
  readonly #calls: SystemCalls;
  /** The packet lies at the front; the kernel reads as much as the request says. They grow with the packets. */
  #packet = new Struct(0);
  #result = new Struct(0);
  readonly #context = new Struct(24); // struct xdp_md
  readonly #request = new Struct(80);

  constructor(calls: SystemCalls) {
    this.#calls = calls;
  }

  /**
   * @param program descriptor
   * @param from default the loopback interface
   * @throws PacketError INVALID_OPTION where the kernel does not take the packet, SYSTEM_CALL
   */
  run(program: number, packet: Uint8Array, repeat = 1, from?: TestOrigin): TestResult {
    this.#makeRoom(packet.length);
    this.#packet.bytes.set(packet);
    for (let attempt = 0; ; attempt++) {
      const result = this.#run(program, packet.length, repeat, from);
      if (result === -EINTR && attempt < MOST_INTERRUPTIONS) continue;
      if (result < 0) throw testError(-result, packet.length);
      break;
    }
    return {
      verdict: this.#request.readU32(4),
      nanoseconds: this.#request.readU32(36),
      packet: this.#result.bytes.slice(0, this.#request.readU32(12)),
    };
  }

  #run(program: number, length: number, repeat: number, from: TestOrigin | undefined): number {
    this.#context
      .u32(4, length)
      .u32(12, from?.interfaceIndex ?? 0)
      .u32(16, from?.queue ?? 0);
    // The sizes of what comes out are the kernel's to write; what it wrote before would be a limit.
    this.#request.u32(0, program).u32(8, length).u32(12, this.#result.length).u32(32, repeat);
    this.#request.u32(40, CONTEXT_BYTES).u32(44, 0);
    return this.#calls.bpf(BPF_PROG_TEST_RUN, this.#request);
  }

  #makeRoom(length: number): void {
    if (this.#result.length >= length + ADDED_BYTES) return;
    this.#packet = new Struct(length);
    this.#result = new Struct(length + ADDED_BYTES);
    this.#request
      .pointer(16, this.#packet, this.#calls.address(this.#packet))
      .pointer(24, this.#result, this.#calls.address(this.#result))
      .pointer(48, this.#context, this.#calls.address(this.#context));
  }
}

function testError(errno: number, length: number): PacketError {
  if (length < ETH_HLEN) {
    return new PacketError('INVALID_OPTION', `test: a packet of ${length} bytes`, {
      remedy: `an Ethernet header has ${ETH_HLEN} bytes, and Linux runs no XDP program on less`,
    });
  }
  const tooLong: Meaning = {
    code: 'INVALID_OPTION',
    why: 'the kernel takes no packet of this length',
    remedy: 'Linux tests programs on some 3500 bytes, newer kernels on up to some 70,000',
  };
  return bpfError('BPF_PROG_TEST_RUN', errno, `test: run the program on ${length} bytes`, {
    [EINVAL]: tooLong,
    [ENOMEM]: tooLong,
  });
}
