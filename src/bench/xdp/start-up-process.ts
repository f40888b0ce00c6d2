import { Arena } from '../../arena/arena.js';
import { compiler } from '../../ebpf/compiler/compiler.js';
import { XDP_HELPERS } from '../../ebpf/helpers/xdp-helpers.js';
import { Machine } from '../../ebpf/machine.js';
import { prepareObject } from '../../ebpf/prepare-object.js';
import { assemble } from '../../ebpf/text/assemble.js';
import { PacketPlaces } from '../../ebpf/trial/packet-places.js';
import { verify } from '../../ebpf/verifier/verify.js';
import { makePackets } from './traffic.js';

// Measures the start of a program of 1,000 instructions in this process, in which nothing of the engine has run before. Writes a
// StartUpMeasurement as JSON.

/** What the process reports: milliseconds of each step. */
export interface StartUpMeasurement {
  /** Its text is read: an object is there. */
  readonly assembled: number;
  /** The object's program is verified. */
  readonly verified: number;
  /** It is compiled, and has returned its first verdict. */
  readonly compiled: number;
}

/** Rules of six instructions each; with ten about them they are 1,000. */
const RULES = 165;

function text(): string {
  const lines = ['.section xdp', '.function rules', 'r2 = *(u32 *)(r1 + 0)', 'r3 = *(u32 *)(r1 + 4)', 'r0 = 2'];
  lines.push(
    'r4 = r2',
    'r4 += 42',
    'if r4 > r3 goto out',
    'r6 = *(u32 *)(r2 + 26)',
    'r7 = *(u16 *)(r2 + 36)',
    'r8 = 0',
  );
  for (let rule = 0; rule < RULES; rule++) {
    lines.push(
      `r5 = r6`,
      `r5 &= ${rule + 255}`,
      `if r5 != ${rule} goto no${rule}`,
      `r8 += r7`,
      `r0 = 1`,
      `no${rule}: r8 ^= 1`,
    );
  }
  lines.push('out: exit');
  return lines.join('\n');
}

const places = Arena.create(2 ** 20);
const machine = new Machine(places, { helpers: XDP_HELPERS, bytes: 65536 });
const packets = new PacketPlaces(places, { ingressInterface: 1, queue: 0 }, 1, 4096);
packets.fill(makePackets(), 0);
const source = text();
const times = [performance.now()];
const object = assemble(source);
times.push(performance.now());
verify(object.programs[0]!, { helpers: machine.helpers });
times.push(performance.now());
prepareObject(object, machine, compiler).executables[0]!.run(packets.records, 1);
times.push(performance.now());
const [assembled, verified, compiled] = times.slice(1).map((time, i) => time - times[i]!);
const measurement: StartUpMeasurement = { assembled: assembled!, verified: verified!, compiled: compiled! };
process.stdout.write(`${JSON.stringify(measurement)}\n`);
