import { PacketError } from '../errors.js';
import {
  CLASSIC_INSTRUCTION_BYTES,
  type ClassicInstruction,
  encodeClassicProgram,
  MOST_CLASSIC_INSTRUCTIONS,
} from '../filter/classic/instruction.js';
import { compileExpression } from '../filter/compile-expression.js';
import { isFiltered } from '../steering/filtered.js';
import { classicProgram, classicRefusal } from '../steering/programs/classic-program.js';
import { codeForRules } from '../steering/programs/rule-code.js';
import { ENOENT, ENOMEM, SO_ATTACH_FILTER, SO_DETACH_FILTER, SOL_SOCKET } from './constants.js';
import type { ParsedReceive } from './receive-rules.js';
import { Struct } from './struct.js';
import { type Meanings, systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

const REMEDY =
  "use fewer rules, with address prefixes and port ranges, or receive: 'all' and pick the packets in the program";

/**
 * Makes a packet socket (AF_PACKET, SOCK_RAW) hear what it is to receive, and nothing else, by a filter in classic BPF. The kernel
 * puts a filter in the place of another at once, so that a bound socket may change it while traffic runs; packets that are in
 * its ring already stay there. 'all' takes the filter away; 'none' is a filter that keeps nothing, which costs a look at each packet where
 * binding to protocol 0 costs none.
 *
 * @param descriptor of the socket; before `bind`, so that nothing slips in between
 * @throws PacketError FLOW_TABLE_FULL when the rules come to more instructions than a filter may have, or than the kernel has memory for
 *   (net.core.optmem_max); FILTER_UNSUPPORTED where an expression has no place for the tag beside the packet; SYSTEM_CALL. The socket then has the filter it had before.
 */
export function attachReceiveFilter(calls: SystemCalls, descriptor: number, receive: ParsedReceive): void {
  if (receive === 'all') {
    const result = calls.setsockoptU32(descriptor, SOL_SOCKET, SO_DETACH_FILTER, 0);
    if (result < 0 && result !== -ENOENT) {
      throw systemCallError('setsockopt SO_DETACH_FILTER', -result, 'take the filter off the socket');
    }
    return;
  }
  const program = programFor(receive);
  if (program.length > MOST_CLASSIC_INSTRUCTIONS) {
    throw new PacketError(
      'FLOW_TABLE_FULL',
      `receive: the rules come to ${program.length} instructions, and a socket filter has at most ${MOST_CLASSIC_INSTRUCTIONS}`,
      { remedy: `${REMEDY}, or an AF_XDP mode, whose programs hold more` },
    );
  }
  attach(calls, descriptor, program);
}

/** Rules and expressions are about packets as they were on the wire, and Linux may have taken their outermost VLAN tag out. */
function programFor(receive: Exclude<ParsedReceive, 'all'>): ClassicInstruction[] {
  if (receive === 'none') return classicRefusal();
  if (isFiltered(receive)) return compileExpression(receive.filter, { link: 'ethernet', tagMayBeBeside: true });
  return classicProgram(codeForRules(receive));
}

function attach(calls: SystemCalls, descriptor: number, program: readonly ClassicInstruction[]): void {
  const instructions = new Struct(program.length * CLASSIC_INSTRUCTION_BYTES);
  instructions.bytes.set(encodeClassicProgram(program));
  const description = new Struct(16) // struct sock_fprog
    .u16(0, program.length)
    .pointer(8, instructions, calls.address(instructions));
  const result = calls.setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, description);
  description.keep();
  if (result >= 0) return;
  const meanings: Meanings = {
    [ENOMEM]: {
      code: 'FLOW_TABLE_FULL',
      why: `its ${program.length} instructions need more than the memory that a socket may have for options`,
      remedy: `raise it (\`sysctl -w net.core.optmem_max=131072\`), or ${REMEDY}`,
    },
  };
  throw systemCallError('setsockopt SO_ATTACH_FILTER', -result, 'attach a filter to the socket', meanings);
}
