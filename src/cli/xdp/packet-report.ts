import {
  DEFAULT_BUDGET,
  FAULT_BUDGET,
  FAULT_CALL_DEPTH,
  FAULT_MEMORY,
  MOST_CALL_FRAMES,
} from '../../ebpf/execution.js';
import type { Fault, PacketOutcome } from '../../ebpf/trial/contract.js';
import type { NumberedPacket } from './packets.js';
import { renderTrace, type StepReport, type TraceReporter } from './trace-text.js';
import { verdictWord } from './verdicts.js';

/** What became of a packet, as JSON has it. */
export interface PacketReport {
  readonly number: number;
  readonly length: number;
  readonly verdict: string;
  readonly instructions: number;
  /** Bytes that the packet has now. */
  readonly lengthAfter: number;
  /** Whether the program has written to it or moved its ends. */
  readonly changed: boolean;
  /** Key in the map of a name, or index of an interface. */
  readonly redirect?: { readonly map?: string; readonly target: number };
  readonly fault?: { readonly slot: number; readonly why: string };
  readonly trace?: readonly StepReport[];
}

export function reportPacket(
  { number, bytes }: NumberedPacket,
  { verdict, packet, executed, fault, redirect, trace }: PacketOutcome,
  reporter: TraceReporter,
): PacketReport {
  return {
    number,
    length: bytes.length,
    verdict: verdictWord(verdict),
    instructions: executed,
    lengthAfter: packet.length,
    changed: packet.length !== bytes.length || packet.some((byte, at) => byte !== bytes[at]),
    ...(redirect !== undefined && {
      redirect: { target: redirect.target, ...(redirect.map !== undefined && { map: redirect.map }) },
    }),
    ...(fault !== undefined && { fault: { slot: fault.slot, why: describeFault(fault) } }),
    ...(trace !== undefined && { trace: reporter.report(trace) }),
  };
}

const COLUMNS = ['packet', 'length', 'verdict', 'instructions'] as const;

/** A table with a line for each packet, its trace below it. */
export function renderPackets(packets: readonly PacketReport[]): string[] {
  const rows = packets.map(({ number, length, verdict, instructions }) => [number, length, verdict, instructions]);
  const widths = COLUMNS.map((heading, column) =>
    rows.reduce((most, row) => Math.max(most, String(row[column]).length), heading.length),
  );
  const align = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, column) =>
        column === 2 ? String(cell).padEnd(widths[column]!) : String(cell).padStart(widths[column]!),
      )
      .join('  ');
  const lines = packets.map((packet, index) => {
    const row = `${align(rows[index]!)}  ${describePacket(packet)}`.trimEnd();
    return packet.trace === undefined ? [row] : [row, ...renderTrace(packet.trace)];
  });
  return [align(COLUMNS), ...lines.flat()];
}

/** What else there is to say: faults, where the packet goes, what was done to it. */
function describePacket({ fault, redirect, length, lengthAfter, changed }: PacketReport): string {
  const words: string[] = [];
  if (fault !== undefined) words.push(`slot ${fault.slot}: ${fault.why}`);
  if (redirect !== undefined) {
    const { map, target } = redirect;
    words.push(map === undefined ? `to interface ${target}` : `to ${map}[${target}]`);
  }
  if (lengthAfter !== length) words.push(`now ${lengthAfter} bytes`);
  else if (changed) words.push('changed');
  return words.join(', ');
}

function describeFault({ kind }: Fault): string {
  switch (kind) {
    case FAULT_MEMORY:
      return 'an access outside of packet, stack and maps';
    case FAULT_BUDGET:
      return `more than ${DEFAULT_BUDGET} instructions`;
    case FAULT_CALL_DEPTH:
      return `more than ${MOST_CALL_FRAMES} functions within each other`;
    default:
      return `fault ${kind}`;
  }
}
