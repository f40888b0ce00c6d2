// An XDP program of one's own in Linux, as root: node linux-program.js [INTERFACE]
// It counts packets in a map and passes them on. Without an interface it runs on a packet that no device has received.
import { setTimeout as sleep } from 'node:timers/promises';
import { LinuxKernel } from 'tpacket4';
import { assemble } from 'tpacket4/ebpf';

// The text is what docs/xdp.md describes. readPrograms(file) reads it from a file, or an object that clang has made.
const source = `
  .map counts array key 4 value 8 entries 1

  .section xdp
  .function count_packets
    *(u32 *)(r10 -4) = 0              ; the key
    r1 = map[counts]
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto pass
    r1 = 1
    lock *(u64 *)(r0 +0) += r1
  pass:
    r0 = 2                            ; XDP_PASS
    exit
`;

const kernel = new LinuxKernel();
const object = await kernel.loadObject(assemble(source));
const program = object.programs[0]!;
const counts = object.maps.get('counts')!;
const counted = () => new DataView(counts.lookup(new Uint8Array(4))!.buffer).getBigUint64(0, true);

const name = process.argv[2];
if (name === undefined) {
  const { verdict, nanoseconds } = program.test(new Uint8Array(60), 100_000);
  console.log(`verdict ${verdict}, ${nanoseconds} ns a run, ${counted()} packets counted`);
} else {
  await kernel.attachProgram(program, { interface: name, hook: 'generic' });
  for (let second = 1; second <= 5; second++) {
    await sleep(1000);
    console.log(`${second} s: ${counted()} packets`);
  }
}
await kernel.close(); // detaches, and so does the end of the process
