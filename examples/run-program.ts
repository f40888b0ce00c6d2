// An XDP program in process: drops UDP, and counts packets by protocol in a map: node run-program.js
import * as ebpf from 'tpacket4/ebpf';
import { writeTcpPacket, writeUdpPacket } from 'tpacket4/soft';

const object = ebpf.assemble(`
  .map protocols array key 4 value 8 entries 256

  .section xdp
  .function drop_udp
    r2 = *(u32 *)(r1 +0)              ; the packet's first byte
    r3 = *(u32 *)(r1 +4)              ; the byte after its last
    r4 = r2
    r4 += 34                          ; Ethernet and IPv4
    if r4 > r3 goto pass
    r6 = *(u8 *)(r2 +23)              ; protocol
    *(u32 *)(r10 -4) = r6             ; is the key
    r1 = map[protocols]
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto pass
    r1 = 1
    lock *(u64 *)(r0 +0) += r1
    r0 = 1                            ; XDP_DROP
    if r6 == 17 goto done             ; UDP
  pass:
    r0 = 2                            ; XDP_PASS
  done:
    exit
`);

const arena = ebpf.Arena.create(2 ** 20);
const machine = new ebpf.Machine(arena, { helpers: ebpf.XDP_HELPERS, bytes: 2 ** 17 });
const { executables, maps } = ebpf.prepareObject(object, machine, ebpf.interpreter);

// Packets lie anywhere in the arena; a record for each says where, and takes the verdict.
const PACKETS = 6;
const packets = arena.allocate(PACKETS * 2048).offset;
const records = arena.allocate(PACKETS * ebpf.PACKET_RECORD_BYTES).offset;
const ends = { destinationMac: '02:00:00:00:00:01', sourceMac: '02:00:00:00:00:02', sourcePort: 1, destinationPort: 2 };
const flow = { ...ends, source: '10.0.0.1', destination: '10.0.0.2', length: 64 };
const recordAt = (index: number) => (records + index * ebpf.PACKET_RECORD_BYTES) >> 2;
for (let i = 0; i < PACKETS; i++) {
  const first = packets + i * 2048;
  const data = first + 256; // room for the program to grow the packet at its head
  if (i % 3 === 0) writeTcpPacket(arena.u8, data, { ...flow, sequence: i, acknowledgement: 0, flags: 16, window: 9 });
  else writeUdpPacket(arena.u8, data, flow);
  arena.i32.set([first, data, data, data + flow.length, first + 2048, 1, 0, 0], recordAt(i));
}

executables[0]!.run(records, PACKETS);
const verdicts = Array.from({ length: PACKETS }, (_, i) => arena.i32[recordAt(i) + ebpf.PACKET_VERDICT]);
console.log(`verdicts: ${verdicts.map((verdict) => (verdict === ebpf.XDP_PASS ? 'pass' : 'drop')).join(' ')}`);
for (const [key, value] of maps[0]!.entries())
  if (value[0]! > 0) console.log(`protocol ${key[0]}: ${value[0]} packets`);
