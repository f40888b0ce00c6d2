import type { KernelStatistics } from '../kernel/contract.js';
import { PACKET_STATISTICS, SOL_PACKET } from './constants.js';
import type { RingVersion } from './packet-rings.js';
import { Struct } from './struct.js';
import type { SystemCalls } from './system-calls.js';

/**
 * Sums up what the kernel counts for a packet socket (linux/if_packet.h, struct tpacket_stats and tpacket_stats_v3): reading starts
 * its counts anew.
 */
export class PacketStatistics {
  #received = 0;
  #dropped = 0;

  /** Takes the kernel's counts since the last time over. Nothing happens when it does not answer. */
  read(calls: SystemCalls, descriptor: number, version: RingVersion): void {
    const raw = new Struct(version === 'v3' ? 12 : 8);
    if (calls.getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, raw) < 0) return;
    this.add(raw);
  }

  /** The same from a structure: tp_packets counts the dropped ones as well. */
  add(raw: Struct): void {
    const dropped = raw.readU32(4);
    this.#received += raw.readU32(0) - dropped;
    this.#dropped += dropped;
  }

  /** @param sent packets that the kernel has handed back */
  take(sent: number): KernelStatistics {
    return {
      received: this.#received,
      sent,
      drops: this.#dropped > 0 ? { 'receive-ring-full': this.#dropped } : {},
    };
  }
}
