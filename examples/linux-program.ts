// An XDP program of one's own in Linux, as root: node linux-program.js [INTERFACE]
// It counts packets in a map and passes them on. Without an interface it runs on a packet that no device has received.
import { setTimeout as sleep } from 'node:timers/promises';
import { LinuxKernel, type MapDefinition, type Program } from 'tpacket4';

const slot = (opcode: number, destination = 0, source = 0, offset = 0, immediate = 0) => {
  return { opcode, destination, source, offset, immediate };
};
const counts: MapDefinition = { name: 'counts', type: 'array', keySize: 4, valueSize: 8, maxEntries: 1, flags: 0 };
const program: Program = {
  ...{ name: 'count_packets', place: 'xdp', license: 'MIT', segments: false, maps: [counts] },
  ...{ subprograms: [{ name: 'count_packets', start: 0, end: 11 }], kernelFunctions: [], lines: [] },
  instructions: [
    slot(0x62, 10, 0, -4, 0), //     *(u32 *)(r10 - 4) = 0, the key
    slot(0x18, 1, 5, 0, 0), //       r1 = map 0 of the program's list, in two slots
    slot(0),
    slot(0xbf, 2, 10), //            r2 = r10
    slot(0x07, 2, 0, 0, -4), //      r2 += -4
    slot(0x85, 0, 0, 0, 1), //       r0 = bpf_map_lookup_elem(r1, r2)
    slot(0x15, 0, 0, 2, 0), //       if r0 == 0 goto +2
    slot(0xb7, 1, 0, 0, 1), //       r1 = 1
    slot(0xdb, 0, 1, 0, 0), //       lock *(u64 *)(r0 + 0) += r1
    slot(0xb7, 0, 0, 0, 2), //       r0 = XDP_PASS
    slot(0x95), //                   exit
  ],
};

const kernel = new LinuxKernel();
const object = await kernel.loadObject({ programs: [program], maps: [counts] });
const [loaded] = object.programs;
const counted = () => new DataView(object.maps.get('counts')!.lookup(new Uint8Array(4))!.buffer).getBigUint64(0, true);

const name = process.argv[2];
if (name === undefined) {
  const { verdict, nanoseconds } = loaded!.test(new Uint8Array(60), 100_000);
  console.log(`verdict ${verdict}, ${nanoseconds} ns a run, ${counted()} packets counted`);
} else {
  await kernel.attachProgram(loaded!, { interface: name, hook: 'generic' });
  for (let second = 1; second <= 5; second++) {
    await sleep(1000);
    console.log(`${second} s: ${counted()} packets`);
  }
}
await kernel.close(); // detaches, and so does the end of the process
