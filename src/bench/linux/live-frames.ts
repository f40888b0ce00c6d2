import { createProgram } from '../../ebpf/create-program.js';
import { XDP_TX } from '../../ebpf/execution.js';
import { BPF_F_TEST_XDP_LIVE_FRAMES, BPF_PROG_TEST_RUN } from '../../linux-kernel/constants.js';
import { loadProgram } from '../../linux-kernel/programs/program-loading.js';
import { Struct } from '../../linux-kernel/struct.js';
import { systemCallError } from '../../linux-kernel/system-call-error.js';
import { SystemCalls } from '../../linux-kernel/system-calls.js';
import { xdpVerdict } from '../../steering/programs/xdp-program.js';

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
  const program = loadProgram(calls, createProgram(xdpVerdict(XDP_TX)), []);
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
