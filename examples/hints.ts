// What a device knows of received packets, put in front of them by an XDP program, and read by a socket: node hints.js
import { openSocket, PacketBatch, SoftKernel } from 'tpacket4';
import { assemble } from 'tpacket4/ebpf';

const METADATA = 16; // bytes: time, hash, kind of hash
const object = assemble(`
  .map sockets xskmap key 4 value 4 entries 1
  .extern bpf_xdp_metadata_rx_timestamp
  .extern bpf_xdp_metadata_rx_hash
  .section xdp
  .function hint
    r6 = r1
    r2 = -${METADATA}
    call bpf_xdp_adjust_meta
    if r0 != 0 goto pass
    r7 = *(u32 *)(r6 +8)              ; the metadata
    r1 = *(u32 *)(r6 +0)              ; the packet behind it
    r2 = r7
    r2 += ${METADATA}
    if r2 > r1 goto pass
    r1 = r6
    r2 = r7
    call bpf_xdp_metadata_rx_timestamp
    r1 = r6
    r2 = r7
    r2 += 8
    r3 = r7
    r3 += 12
    call bpf_xdp_metadata_rx_hash
    r2 = *(u32 *)(r6 +16)             ; queue
    r1 = map[sockets]
    r3 = 2
    call bpf_redirect_map
    exit
  pass:
    r0 = 2
    exit
`);

await using kernel = new SoftKernel();
await kernel.addNic({ name: 'soft0', wire: { kind: 'generator', size: 64, count: 5, flows: 2 } });
const { programs, maps } = await kernel.loadObject(object, { boundTo: 'soft0' });
await kernel.attachProgram(programs[0]!, { interface: 'soft0', hook: 'native' });
await using socket = await openSocket({ kernel, interface: 'soft0', receive: { xskmap: maps.get('sockets')! } });
const batch = new PacketBatch(64);
const view = new DataView(socket.bytes.buffer, socket.bytes.byteOffset);
for (let seen = 0; seen < 5; ) {
  if (socket.receive(batch) === 0) await socket.wait();
  for (let i = 0; i < batch.length; i++) {
    const metadata = batch.offset[i]! - METADATA;
    const [time, hash] = [view.getBigUint64(metadata, true), view.getUint32(metadata + 8, true)];
    const kind = view.getUint32(metadata + 12, true); // enum xdp_rss_hash_type: 41 is IPv4, with ports, UDP
    console.log(`${++seen}: received at ${time} ns, hash ${hash.toString(16).padStart(8, '0')} of kind ${kind}`);
  }
  socket.release(batch);
}
