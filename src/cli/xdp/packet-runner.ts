import type { MapContents } from '../../ebpf/maps/contract.js';
import type { PacketOutcome } from '../../ebpf/trial/contract.js';
import type { Landmarks } from '../../ebpf/trial/landmarks.js';

/** What became of a packet. Linux tells verdict and packet alone. */
export type RunOutcome = Pick<PacketOutcome, 'verdict' | 'packet'> & Partial<PacketOutcome>;

/** What runs a program on packets, one after the other; maps keep what it writes. */
export interface PacketRunner {
  /** As summaries name it. */
  readonly name: string;
  /** What pointers in traces point to; undefined where there are no traces. */
  readonly landmarks: Landmarks | undefined;
  /** The maps that the program's file has programs use. */
  readonly maps: readonly MapContents[];
  /** @param trace whether to note each instruction */
  run(packet: Uint8Array, trace: boolean): RunOutcome;
  /** Runs the program on all packets over and over, on maps of its own. Returns the nanoseconds of a packet. */
  measure(packets: readonly Uint8Array[], seconds: number): Promise<number>;
  close(): Promise<void>;
}
