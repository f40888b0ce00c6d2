import {
  DEFAULT_BUDGET,
  FAULT_BUDGET,
  FAULT_CALL_DEPTH,
  FAULT_MEMORY,
  MOST_CALL_FRAMES,
} from '../../ebpf/execution.js';
import type { Fault } from '../../ebpf/trial/contract.js';
import type { RunOutcome } from './packet-runner.js';
import type { NumberedPacket } from './packets.js';
import { renderTrace, type StepReport, type TraceReporter } from './trace-text.js';
import { verdictWord } from './verdicts.js';

/** What became of a packet, as JSON has it. */
export interface PacketReport {
  readonly number: number;
  readonly length: number;
  readonly verdict: string;
  /** Undefined in Linux. */
  readonly instructions?: number;
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
  { verdict, packet, executed, fault, redirect, trace }: RunOutcome,
  reporter: TraceReporter | undefined,
): PacketReport {
  return {
    number,
    length: bytes.length,
    verdict: verdictWord(verdict),
    ...(executed !== undefined && { instructions: executed }),
    lengthAfter: packet.length,
    changed: packet.length !== bytes.length || packet.some((byte, at) => byte !== bytes[at]),
    ...(redirect !== undefined && {
      redirect: { target: redirect.target, ...(redirect.map !== undefined && { map: redirect.map }) },
    }),
    ...(fault !== undefined && { fault: { slot: fault.slot, why: describeFault(fault) } }),
    ...(trace !== undefined && reporter !== undefined && { trace: reporter.report(trace) }),
  };
}

const COLUMNS = ['number', 'length', 'verdict', 'instructions'] as const;

/** A table with a line for each packet, its trace below it. */
export function renderPackets(packets: readonly PacketReport[]): string[] {
  const columns = COLUMNS.filter((column) => packets.some((packet) => packet[column] !== undefined));
  const headings = columns.map((column) => (column === 'number' ? 'packet' : column));
  const rows = packets.map((packet) => columns.map((column) => String(packet[column] ?? '')));
  const widths = headings.map((heading, index) =>
    rows.reduce((most, row) => Math.max(most, row[index]!.length), heading.length),
  );
  const align = (cells: readonly string[]) =>
    cells
      .map((cell, index) =>
        columns[index] === 'verdict' ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!),
      )
      .join('  ');
  const lines = packets.map((packet, index) => {
    const row = `${align(rows[index]!)}  ${describePacket(packet)}`.trimEnd();
    return packet.trace === undefined ? [row] : [row, ...renderTrace(packet.trace)];
  });
  return [align(headings).trimEnd(), ...lines.flat()];
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
