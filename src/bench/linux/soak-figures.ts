import type { Mode } from '../../kernel/contract.js';
import type { BenchSettings } from '../cell.js';
import type { InterfaceCounters } from './laboratory.js';

/** What the soaking process has to do. Plain data. */
export interface SoakTask {
  readonly interface: string;
  readonly version: Mode;
  readonly settings: BenchSettings;
  readonly intervalSeconds: number;
  /** -1 leaves the place to the scheduler. */
  readonly cpu: number;
}

/** The soaking process at one moment. */
export interface SoakMoment {
  readonly seconds: number;
  /** Forwarded so far. */
  readonly packets: number;
  /** In use on the JavaScript heap after a collection. */
  readonly heapBytes: number;
}

/** The soaking process at its end, with the socket closed; in packets but for the frames. */
export interface SoakEnd {
  /** Taken out of the rings, and put into them, by the program. */
  readonly received: number;
  readonly sent: number;
  /** The same as the kernel counts it. */
  readonly kernelReceived: number;
  readonly kernelSent: number;
  readonly drops: Readonly<Record<string, number>>;
  readonly unsendable: number;
  /** Frames of the buffer, and how many of them are free. */
  readonly frames: number;
  readonly free: number;
}

/** One account: what went in must have come out, or be a drop of a known place. */
export interface Account {
  readonly what: string;
  readonly sent: number;
  readonly received: number;
  readonly drops: Readonly<Record<string, number>>;
  readonly balanced: boolean;
}

/** Drops that happen while the socket sends; all others happen while it receives. */
const WHILE_SENDING: readonly string[] = ['transmit-error', 'invalid-descriptor'];

/** A heap that grows by more than this between the second half's beginning and the end is not flat, in bytes. */
const FLAT_BYTES = 512 * 1024;

/**
 * The accounts of a packet's way: source to near end to program to far end.
 *
 * @param source packets that the source has sent
 * @param near, far what the interfaces have counted since before the first packet
 */
export function accountsOf(source: number, end: SoakEnd, near: InterfaceCounters, far: InterfaceCounters): Account[] {
  const receiving: Record<string, number> = {};
  const sending: Record<string, number> = {};
  for (const [place, count] of Object.entries(end.drops)) {
    (WHILE_SENDING.includes(place) ? sending : receiving)[place] = count;
  }
  if (end.unsendable > 0) sending.unsendable = end.unsendable;
  return [
    account('sent by the source, arrived at the near end', source, near.received, {
      ...(far.sendDropped > 0 && { 'veth-near-queue': far.sendDropped }),
    }),
    account('arrived at the near end, received by the program', near.received, end.received, receiving),
    account('received by the program, sent by the program', end.received, end.sent + end.unsendable, {}),
    account('sent by the program, arrived at the far end', end.sent, far.received, {
      ...sending,
      ...(near.sendDropped > 0 && { 'veth-far-queue': near.sendDropped }),
    }),
  ];
}

function account(what: string, sent: number, received: number, drops: Record<string, number>): Account {
  const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
  return { what, sent, received, drops, balanced: sent === received + dropped };
}

/** Growth of the heap in bytes over the second half of the moments; 0 for fewer than two. */
export function heapGrowth(moments: readonly SoakMoment[]): number {
  const middle = moments[moments.length >> 1];
  const last = moments.at(-1);
  return middle === undefined || last === undefined ? 0 : last.heapBytes - middle.heapBytes;
}

/** Whether the heap stayed flat. */
export function isFlat(moments: readonly SoakMoment[]): boolean {
  return heapGrowth(moments) <= FLAT_BYTES;
}
