import { openCapture } from '../capture-file/open-capture.js';
import { XDP_DROP, XDP_PASS } from '../ebpf/execution.js';
import { disassembleObject } from '../ebpf/text/program-text.js';
import { PacketError } from '../errors.js';
import { disassembleClassicProgram } from '../filter/classic/disassemble.js';
import { ClassicInterpreter } from '../filter/classic/interpreter.js';
import type { LinkType } from '../filter/code/layers.js';
import { compileExpression } from '../filter/compile-expression.js';
import { filterProgram } from '../filter/ebpf/filter-program.js';
import { readCapture } from '../host/read-capture.js';
import { CommandLine, type OptionTable } from './options.js';

const COMMAND = 'tp4 filter';

const HELP = `tp4 filter EXPRESSION [options]    what a filter expression is compiled to

EXPRESSION is in the language of tcpdump (pcap-filter(7)); without options its program is shown as \`tcpdump -d\` shows one.

  -d, --disassemble    the classic BPF program, also beside other output
  --ebpf               the XDP program that it becomes: what is accepted passes, all else is dropped
  --tag-beside         for packets whose VLAN tag Linux may have taken out, as V2 and V3 receive them
  --capture FILE       numbers of the packets of a pcap or pcapng file that are accepted
  --count              with --capture, how many only

  tp4 filter 'udp port 53 and not net 10.0.0.0/8'
  tp4 filter --capture captures/veth-mixed.pcap --count tcp
`;

const OPTIONS: OptionTable = {
  disassemble: { type: 'boolean', short: 'd' },
  ebpf: { type: 'boolean' },
  'tag-beside': { type: 'boolean' },
  capture: { type: 'string' },
  count: { type: 'boolean' },
};

/** Link types of captures (tcpdump.org's registry) that filters are compiled for. */
const CAPTURED_LINKS: ReadonlyMap<number, LinkType> = new Map([
  [0, 'null'],
  [1, 'ethernet'],
  [101, 'raw'],
  [108, 'loop'],
  [113, 'linux-cooked'],
  [228, 'raw'],
  [229, 'raw'],
  [276, 'linux-cooked-2'],
]);

/** `tp4 filter`. Returns the exit code. @throws PacketError FILTER_SYNTAX, FILTER_UNSUPPORTED, INVALID_OPTION, SYSTEM_CALL, CAPTURE_CORRUPT */
export async function filter(args: readonly string[]): Promise<number> {
  const line = new CommandLine(COMMAND, args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const expression = line.positionals.join(' ');
  if (expression === '') {
    throw new PacketError('INVALID_OPTION', `${COMMAND}: no expression is given`, {
      remedy: "for example tp4 filter 'udp port 53'; tp4 filter --help",
    });
  }
  const file = line.text('capture');
  if (file === undefined) line.expectNone(['count'], 'without --capture');
  const program = compileExpression(expression, { link: 'ethernet', tagMayBeBeside: line.has('tag-beside') });
  if (line.has('disassemble') || (!line.has('ebpf') && file === undefined)) {
    process.stdout.write(`${disassembleClassicProgram(program)}\n`);
  }
  if (line.has('ebpf')) {
    const programs = [filterProgram(program, { accepted: XDP_PASS, refused: XDP_DROP })];
    process.stdout.write(disassembleObject({ programs, maps: [] }, { slots: true }));
  }
  if (file !== undefined) writeAccepted(expression, await readCapture(file), line.has('count'));
  return 0;
}

function writeAccepted(expression: string, bytes: Uint8Array, countOnly: boolean): void {
  const filters = new Map<number, ClassicInterpreter>();
  const reader = openCapture(bytes);
  let packets = 0;
  let accepted = 0;
  while (reader.next()) {
    packets++;
    const { offset, length, originalLength, linkType } = reader.packet;
    let compiled = filters.get(linkType);
    if (compiled === undefined) {
      compiled = new ClassicInterpreter(
        compileExpression(expression, { link: linkOf(linkType), tagMayBeBeside: false }),
      );
      filters.set(linkType, compiled);
    }
    if (compiled.run(reader.bytes, offset, length, originalLength) === 0) continue;
    accepted++;
    if (!countOnly) process.stdout.write(`${packets}\n`);
  }
  process.stdout.write(`${accepted} of ${packets} packets\n`);
}

function linkOf(linkType: number): LinkType {
  const link = CAPTURED_LINKS.get(linkType);
  if (link !== undefined) return link;
  throw new PacketError('FILTER_UNSUPPORTED', `filters are not compiled for packets of link type ${linkType}`, {
    remedy: 'capture on an interface with Ethernet headers, or with `tcpdump -i any`',
  });
}
