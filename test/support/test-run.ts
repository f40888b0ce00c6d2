import { BPF_PROG_TEST_RUN } from '../../src/linux-kernel/constants.js';
import { Struct } from '../../src/linux-kernel/struct.js';
import { systemCallError } from '../../src/linux-kernel/system-call-error.js';
import type { SystemCalls } from '../../src/linux-kernel/system-calls.js';

/** Runs loaded XDP programs on packets of one's choice (bpf(2), BPF_PROG_TEST_RUN); nothing is sent anywhere. */
export class XdpTestRun {
  readonly #calls: SystemCalls;
  /** A packet lies at the front; the kernel reads as much as the request says. */
  readonly #packet = new Struct(2048);
  /** What the program has made of it. */
  readonly #result = new Struct(2048);
  readonly #context = new Struct(24); // struct xdp_md
  readonly #request = new Struct(80);

  constructor(calls: SystemCalls) {
    this.#calls = calls;
    this.#request
      .pointer(16, this.#packet, calls.address(this.#packet))
      .pointer(24, this.#result, calls.address(this.#result))
      .u32(32, 1) // once
      .pointer(48, this.#context, calls.address(this.#context));
  }

  /**
   * @param program descriptor
   * @param packet at least an Ethernet header, which the kernel insists on
   * @param from the interface and its queue that the program takes the packet to have come from
   * @returns the verdict, of enum xdp_action
   */
  verdict(
    program: number,
    packet: Uint8Array,
    from?: { readonly interfaceIndex: number; readonly queue: number },
  ): number {
    this.#packet.bytes.set(packet);
    this.#context
      .u32(4, packet.length)
      .u32(12, from?.interfaceIndex ?? 0)
      .u32(16, from?.queue ?? 0);
    // The sizes of what comes out are the kernel's to write; what it wrote before would be a limit.
    this.#request.u32(0, program).u32(8, packet.length).u32(12, this.#result.length);
    this.#request.u32(40, 20).u32(44, 0); // bytes of the context, up to rx_queue_index
    const result = this.#calls.bpf(BPF_PROG_TEST_RUN, this.#request);
    if (result < 0) throw systemCallError('bpf BPF_PROG_TEST_RUN', -result, 'run the program on a packet');
    return this.#request.readU32(4);
  }

  /** The packet as the program of the last run has left it. */
  packet(): Uint8Array {
    return this.#result.bytes.slice(0, this.#request.readU32(12));
  }
}
