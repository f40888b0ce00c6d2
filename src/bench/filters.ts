import { interruptible } from '../cli/bench.js';
import { CommandLine, type OptionTable } from '../cli/options.js';
import { compiler } from '../ebpf/compiler/compiler.js';
import { interpreter } from '../ebpf/interpreter/interpreter.js';
import { compileExpression } from '../filter/compile-expression.js';
import { readCapture } from '../host/read-capture.js';
import { listCapturedPackets } from '../wire/captured-packets.js';
import { measureLibpcap } from './filters/libpcap-peer.js';
import { measureClassic, measureEngine, measureLinux } from './filters/measure.js';
import { alignColumns } from './rings/spread.js';

const HELP = `tp4 bench filters [EXPRESSION...] [options]    cost per packet of filter expressions, libpcap and Linux beside

  --capture FILE    packets to look at (captures/veth-mixed.pcap)
  --seconds N       for each figure (0.3)
`;

const OPTIONS: OptionTable = { capture: { type: 'string' }, seconds: { type: 'string' } };

const EXPRESSIONS = [
  'ip',
  'udp port 53',
  'host 10.0.0.1 and tcp port 80',
  'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net 10.0.0.0/8',
  '(udp or tcp) and (port 53 or 80 or 443 or 8080) and not net 192.168.0.0/16 and greater 60',
];

/** `tp4 bench filters`. Returns the exit code. @throws PacketError INVALID_OPTION, SYSTEM_CALL, CAPTURE_CORRUPT, FILTER_SYNTAX */
export async function benchFilters(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 bench filters', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const expressions = line.positionals.length > 0 ? line.positionals : EXPRESSIONS;
  const file = line.text('capture') ?? 'captures/veth-mixed.pcap';
  const seconds = line.number('seconds', 0.3, 0.01, 60);
  const bytes = await readCapture(file);
  const { offsets, lengths } = listCapturedPackets(bytes, false);
  const packets = Array.from(offsets, (offset, i) => bytes.subarray(offset, offset + lengths[i]!));
  return interruptible(async (signal) => {
    const libpcap = await measureLibpcap(file, expressions, seconds, signal);
    if (typeof libpcap === 'string') process.stderr.write(`tp4 bench filters: no figures of libpcap: ${libpcap}\n`);
    const rows = [['expression', 'accepted', 'libpcap', 'classic', 'eBPF', 'compiled', 'Linux']];
    for (const [index, expression] of expressions.entries()) {
      signal.throwIfAborted();
      const program = compileExpression(expression, { link: 'ethernet', tagMayBeBeside: false });
      const classic = measureClassic(program, packets, seconds);
      const linux = await measureLinux(program, packets);
      if (typeof linux === 'string' && index === 0)
        process.stderr.write(`tp4 bench filters: no figures of Linux: ${linux}\n`);
      rows.push([
        expression,
        String(classic.accepted),
        typeof libpcap === 'string' ? '-' : libpcap[index]!.nanoseconds.toFixed(1),
        classic.nanoseconds.toFixed(1),
        measureEngine(interpreter, program, packets, seconds).toFixed(1),
        measureEngine(compiler, program, packets, seconds).toFixed(1),
        typeof linux === 'string' ? '-' : linux.toFixed(1),
      ]);
    }
    process.stdout.write(`${packets.length} packets of ${file}; nanoseconds of a packet\n\n${alignColumns(rows)}\n`);
    return 0;
  });
}
