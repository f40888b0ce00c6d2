import { checkClassicProgram } from './classic/check-program.js';
import { type ClassicInstruction, MOST_CLASSIC_INSTRUCTIONS } from './classic/instruction.js';
import * as op from './classic/opcodes.js';
import { conditionOf } from './code/build-condition.js';
import { Compilation } from './code/compilation.js';
import { ALWAYS, all, any, type Condition, not } from './code/condition.js';
import { Decision } from './code/decision.js';
import { emitDecision } from './code/emit.js';
import type { LinkType } from './code/layers.js';
import { ValueTable } from './code/value.js';
import { parseFilter } from './language/parser.js';
import type { Syntax } from './language/syntax.js';

/** What an accepted packet returns: keep all of it. */
const WHOLE_PACKET = 0xffffffff;

/** What packets begin with, and where the outermost VLAN tag of an Ethernet frame is. */
export interface PacketForm {
  readonly link: LinkType;
  /**
   * Whether Linux may have taken the tag out of the packet, as it does for AF_PACKET: the program then gives of what is left, and of what Linux
   * knows beside it, the verdict on the packet as it was on the wire.
   */
  readonly tagMayBeBeside: boolean;
}

/**
 * Compiles a filter expression in the language of pcap-filter(7) to classic BPF.
 *
 * @throws PacketError FILTER_SYNTAX, FILTER_UNSUPPORTED
 */
export function compileExpression(expression: string, form: PacketForm): ClassicInstruction[] {
  const syntax = parseFilter(expression);
  const inPlace = new Compilation(expression, form.link, new ValueTable());
  let condition = conditionFor(inPlace, syntax);
  if (form.tagMayBeBeside) {
    const beside = new Compilation(expression, form.link, inPlace.values.withTagBeside());
    const isBeside = beside.layers.equal(beside.values.beside(op.SKF_AD_VLAN_TAG_PRESENT, 1), 1);
    condition = any(all(isBeside, conditionFor(beside, syntax)), all(not(isBeside), condition));
  }
  const program = emitDecision(new Decision(condition), WHOLE_PACKET);
  const span = { start: 0, end: expression.length };
  if (program === undefined) {
    throw inPlace.refusal(
      span,
      `a calculation needs more than ${op.BPF_MEMWORDS} intermediate results at a time`,
      'make it simpler',
    );
  }
  if (program.length > MOST_CLASSIC_INSTRUCTIONS) {
    throw inPlace.refusal(
      span,
      `this comes to ${program.length} instructions, of at most ${MOST_CLASSIC_INSTRUCTIONS}`,
      'use fewer conditions: networks and ranges of ports in the place of many hosts and ports',
    );
  }
  checkClassicProgram(program);
  return program;
}

function conditionFor(compilation: Compilation, syntax: Syntax | undefined): Condition {
  return syntax === undefined ? ALWAYS : conditionOf(compilation, syntax);
}
