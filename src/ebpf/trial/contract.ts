import type { TraceStep } from '../tracing/contract.js';

/** Where programs take packets to have come from. */
export interface PacketOrigin {
  /** Index of the interface. */
  readonly ingressInterface: number;
  /** Number of the receive queue. */
  readonly queue: number;
}

/** Why a run was stopped. */
export interface Fault {
  /** One of FAULT_…. */
  readonly kind: number;
  /** Of the instruction, in the program that was running: after tail calls another one. */
  readonly slot: number;
}

/** Where a packet was to be redirected. */
export interface RedirectTarget {
  /** Name of the map; undefined for an interface. */
  readonly map: string | undefined;
  /** Key in the map, or index of the interface. */
  readonly target: number;
}

/** What became of a packet. */
export interface PacketOutcome {
  /** XDP_ABORTED to XDP_REDIRECT, or whatever else the program returned; unsigned. */
  readonly verdict: number;
  /** The packet as the program has left it. */
  readonly packet: Uint8Array;
  /** Instructions that were executed. */
  readonly executed: number;
  /** Why the run was stopped; undefined where it came to its end. */
  readonly fault: Fault | undefined;
  /** Of packets with verdict XDP_REDIRECT. */
  readonly redirect: RedirectTarget | undefined;
  /** Each instruction, where it was asked for. */
  readonly trace: readonly TraceStep[] | undefined;
}
