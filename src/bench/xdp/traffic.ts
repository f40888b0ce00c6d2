/** Different packets that each program is run on, one after the other. */
const PACKETS = 16;
/** Prefixes of the firewall. */
export const PREFIXES = 10_000;
const PACKET_BYTES = 60;

/** An entry for a map of type lpm_trie with 8 bytes of key and 4 of value. */
export type PrefixEntry = readonly [key: Uint8Array, value: Uint8Array];

/** IPv4 prefixes of 8 to 32 bits, all different, that drop (XDP_DROP); the same ones each time. */
export function makePrefixes(): PrefixEntry[] {
  const next = sequence(1);
  const entries = new Map<string, PrefixEntry>();
  while (entries.size < PREFIXES) {
    const length = 8 + (next() % 25);
    const address = (next() & (-1 << (32 - length))) >>> 0;
    const key = new Uint8Array(8);
    new DataView(key.buffer).setUint32(0, length, true);
    new DataView(key.buffer).setUint32(4, address);
    entries.set(`${address}/${length}`, [key, Uint8Array.of(1, 0, 0, 0)]);
  }
  return [...entries.values()];
}

/** UDP packets without FCS, half of them from sources that prefixes of the firewall cover for sure. */
export function makePackets(): Uint8Array[] {
  const next = sequence(2);
  const prefixes = makePrefixes();
  return Array.from({ length: PACKETS }, (_, index) => {
    const packet = new Uint8Array(PACKET_BYTES);
    const view = new DataView(packet.buffer);
    packet.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0]);
    view.setUint16(16, PACKET_BYTES - 14);
    packet.set([64, 17], 22);
    if (index % 2 === 0) packet.set(prefixes[next() % PREFIXES]![0].subarray(4), 26);
    else view.setUint32(26, next());
    view.setUint32(30, next());
    view.setUint16(34, 1024 + index);
    view.setUint16(36, 4791);
    view.setUint16(38, PACKET_BYTES - 34);
    return packet;
  });
}

/** Numbers of 32 bits that look random (xorshift). */
function sequence(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b9) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
