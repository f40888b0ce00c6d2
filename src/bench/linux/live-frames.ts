import {
  BPF_F_TEST_XDP_LIVE_FRAMES,
  BPF_PROG_LOAD,
  BPF_PROG_TEST_RUN,
  BPF_PROG_TYPE_XDP,
  XDP_TX,
} from '../../linux-kernel/constants.js';
import { Struct } from '../../linux-kernel/struct.js';
import { systemCallError } from '../../linux-kernel/system-call-error.js';
import { SystemCalls } from '../../linux-kernel/system-calls.js';

/**
 * A traffic source that outruns every way of sending: bpf(2)'s test run in live-frames mode with a program that answers
 * XDP_TX, so that the frames leave through the interface. The peer of a veth pair receives them once it runs an XDP
 * program, or has generic receive offload on. Linux 5.18 or later.
 *
 * @param frame bytes that every packet has
 * @returns packets that the kernel was told to send and did
 */
export async function sendLiveFrames(interfaceName: string, frame: Uint8Array, count: number): Promise<number> {
  const calls = await SystemCalls.load();
  const program = loadAnswering(calls, XDP_TX);
  const packet = new Struct(frame.length);
  packet.bytes.set(frame);
  const context = new Struct(24).u32(4, frame.length).u32(12, calls.interfaceIndex(interfaceName)); // struct xdp_md
  const atOnce = 2 ** 18; // each call sets up its frames anew
  let sent = 0;
  try {
    while (sent < count) {
      const repeat = Math.min(count - sent, atOnce);
      const test = new Struct(80)
        .u32(0, program)
        .u32(8, packet.length)
        .pointer(16, packet, calls.address(packet))
        .u32(32, repeat)
        .u32(40, 20) // bytes of the context in use, up to rx_queue_index
        .pointer(48, context, calls.address(context))
        .u32(64, BPF_F_TEST_XDP_LIVE_FRAMES)
        .u32(72, 64); // batch
      const result = calls.bpf(BPF_PROG_TEST_RUN, test);
      if (result < 0) throw systemCallError('bpf BPF_PROG_TEST_RUN', -result, 'send live frames');
      sent += repeat;
    }
  } finally {
    calls.close(program);
  }
  return sent;
}

/** An XDP program of two instructions: r0 = verdict, exit. */
function loadAnswering(calls: SystemCalls, verdict: number): number {
  const instructions = new Struct(16).u16(0, 0xb7).i32(4, verdict).u16(8, 0x95);
  const licence = new Struct(8).text(0, 'MIT');
  const attributes = new Struct(148)
    .u32(0, BPF_PROG_TYPE_XDP)
    .u32(4, 2)
    .pointer(8, instructions, calls.address(instructions))
    .pointer(16, licence, calls.address(licence));
  const program = calls.bpf(BPF_PROG_LOAD, attributes);
  if (program < 0) throw systemCallError('bpf BPF_PROG_LOAD', -program, 'load a program for live frames');
  return program;
}
