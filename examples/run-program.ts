// An XDP program in process: drops UDP, and counts packets by protocol in a map: node run-program.js
import * as ebpf from 'tpacket4/ebpf';
import { writeTcpPacket, writeUdpPacket } from 'tpacket4/soft';

const { instruction: op, opcodes: o } = ebpf;
const counts = { name: 'counts', type: 'array', keySize: 4, valueSize: 8, maxEntries: 256, flags: 0 } as const;
const PROTOCOL = 14 + 9; // of IPv4, behind the Ethernet header
const instructions = [
  op(o.BPF_LDX | o.BPF_MEM | o.BPF_W, { destination: 2, source: 1, offset: ebpf.CONTEXT_DATA }),
  op(o.BPF_LDX | o.BPF_MEM | o.BPF_W, { destination: 3, source: 1, offset: ebpf.CONTEXT_DATA_END }),
  op(o.BPF_ALU64 | o.BPF_MOV | o.BPF_X, { destination: 4, source: 2 }),
  op(o.BPF_ALU64 | o.BPF_ADD | o.BPF_K, { destination: 4, immediate: PROTOCOL + 1 }),
  op(o.BPF_JMP | o.BPF_JGT | o.BPF_X, { destination: 4, source: 3, offset: 12 }), // too short: pass
  op(o.BPF_LDX | o.BPF_MEM | o.BPF_B, { destination: 6, source: 2, offset: PROTOCOL }),
  op(o.BPF_STX | o.BPF_MEM | o.BPF_W, { destination: 10, source: 6, offset: -4 }),
  ...ebpf.wideInstruction(1, 0n, o.BPF_PSEUDO_MAP_IDX),
  op(o.BPF_ALU64 | o.BPF_MOV | o.BPF_X, { destination: 2, source: 10 }),
  op(o.BPF_ALU64 | o.BPF_ADD | o.BPF_K, { destination: 2, immediate: -4 }),
  op(o.BPF_JMP | o.BPF_CALL, { immediate: 1 }), // map_lookup_elem
  op(o.BPF_JMP | o.BPF_JEQ | o.BPF_K, { destination: 0, offset: 4 }), // no value: pass
  op(o.BPF_ALU64 | o.BPF_MOV | o.BPF_K, { destination: 1, immediate: 1 }),
  op(o.BPF_STX | o.BPF_ATOMIC | o.BPF_DW, { destination: 0, source: 1, immediate: o.BPF_ADD }),
  op(o.BPF_ALU64 | o.BPF_MOV | o.BPF_K, { destination: 0, immediate: ebpf.XDP_DROP }),
  op(o.BPF_JMP | o.BPF_JEQ | o.BPF_K, { destination: 6, offset: 1, immediate: 17 }), // UDP: drop
  op(o.BPF_ALU64 | o.BPF_MOV | o.BPF_K, { destination: 0, immediate: ebpf.XDP_PASS }),
  op(o.BPF_JMP | o.BPF_EXIT),
];
const program = ebpf.createProgram(instructions, { name: 'drop_udp', maps: [counts] });

const arena = ebpf.Arena.create(2 ** 20);
const machine = new ebpf.Machine(arena, { helpers: ebpf.XDP_HELPERS, bytes: 2 ** 17 });
const map = ebpf.createMap(machine, counts);
const executable = ebpf.interpreter.prepare({ program, maps: [map] }, machine);

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

executable.run(records, PACKETS);
const verdicts = Array.from({ length: PACKETS }, (_, i) => arena.i32[recordAt(i) + ebpf.PACKET_VERDICT]);
console.log(`verdicts: ${verdicts.map((verdict) => (verdict === ebpf.XDP_PASS ? 'pass' : 'drop')).join(' ')}`);
for (const [key, value] of map.entries()) if (value[0]! > 0) console.log(`protocol ${key[0]}: ${value[0]} packets`);
