// Maps of an XDP program as control code sees them: a firewall of prefixes that reports what it drops: node program-maps.js
import * as ebpf from 'tpacket4/ebpf';
import { writeUdpPacket } from 'tpacket4/soft';

const object = ebpf.assemble(`
  .map rules lpm_trie key 8 value 4 entries 10000 flags 1
  .map reports ringbuf entries 4096
  .function firewall
    r2 = *(u32 *)(r1 +0)              ; the packet's first byte
    r3 = *(u32 *)(r1 +4)              ; the byte after its last
    r4 = r2
    r4 += 34                          ; Ethernet and IPv4
    if r4 > r3 goto pass
    r6 = *(u32 *)(r2 +26)             ; source address, as it lies
    *(u32 *)(r10 -8) = 32             ; the whole of it
    *(u32 *)(r10 -4) = r6
    r1 = map[rules]
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto pass
    r7 = *(u32 *)(r0 +0)              ; number of the rule
    *(u32 *)(r10 -8) = r7
    r1 = map[reports]
    r2 = r10
    r2 += -8
    r3 = 8
    r4 = 0
    call bpf_ringbuf_output
    r0 = 1                            ; XDP_DROP
    exit
  pass:
    r0 = 2
    exit
`);

const arena = ebpf.Arena.create(2 ** 23);
const machine = new ebpf.Machine(arena, { helpers: ebpf.XDP_HELPERS, bytes: 2 ** 22 });
const { executables, maps } = ebpf.prepareObject(object, machine, ebpf.interpreter);
const rules = maps[0]!;
const reports = maps[1] as ebpf.EbpfMap & ebpf.RecordSource;
const data = arena.allocate(4096).offset + 256;
const record = arena.allocate(ebpf.PACKET_RECORD_BYTES).offset;

function run(source: string): void {
  const ends = { source, destination: '10.0.0.2', sourcePort: 1, destinationPort: 2, length: 64 };
  const macs = { destinationMac: '02:00:00:00:00:01', sourceMac: '02:00:00:00:00:02' };
  writeUdpPacket(arena.u8, data, { ...macs, ...ends });
  arena.i32.set([data - 256, data, data, data + 64, data + 1792, 1, 0, 0], record >> 2);
  executables[0]!.run(record, 1);
  console.log(`${source}: ${arena.i32[(record >> 2) + ebpf.PACKET_VERDICT] === ebpf.XDP_PASS ? 'pass' : 'drop'}`);
}

const prefix = Uint8Array.of(16, 0, 0, 0, 10, 9, 0, 0); // 10.9.0.0/16: its length, then the address
rules.update(prefix, Uint8Array.of(7, 0, 0, 0));
for (const source of ['10.8.0.1', '10.9.0.1']) run(source);
for (let report = reports.read(); report !== undefined; report = reports.read())
  console.log(`${report.slice(4).join('.')} was dropped by rule ${report[0]}`);
rules.delete(prefix);
run('10.9.0.1');
