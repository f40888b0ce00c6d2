import { createProgram } from '../../ebpf/create-program.js';
import { XDP_TX } from '../../ebpf/execution.js';
import { PacketError } from '../../errors.js';
import { loadProgram } from '../../linux-kernel/programs/program-loading.js';
import { TestRuns } from '../../linux-kernel/programs/test-run.js';
import { fillTables } from '../../linux-kernel/rule-maps.js';
import { SystemCalls } from '../../linux-kernel/system-calls.js';
import { writeUdpPacket } from '../../packet/build-packet.js';
import { createFlowKey, parseFlowKey } from '../../packet/flow-key.js';
import { FlowTable } from '../../steering/flow-table.js';
import { codeForQueues } from '../../steering/programs/rule-code.js';
import { xdpProgram, xdpVerdict } from '../../steering/programs/xdp-program.js';
import { type FlowRule, parseRule } from '../../steering/rules.js';

const FIRST_PORT = 1024;
const PACKET_BYTES = 60;
/** Packets of different flows, as far as there are rules. */
const PACKETS = 64;
/** Passes over them for a figure of the soft kernel, and runs on each for one of Linux. */
const PASSES = 4000;
const REPEAT = 4000;

/** The rules of a case: one kind, each another port. */
export function rulesOf(count: number): FlowRule[] {
  return Array.from({ length: count }, (_, i) => ({ protocol: 'udp', destinationPort: FIRST_PORT + i }));
}

/** Packets that rules match, spread over all of them. */
function packetsFor(rules: number): Uint8Array[] {
  return Array.from({ length: PACKETS }, (_, i) => {
    const packet = new Uint8Array(PACKET_BYTES);
    writeUdpPacket(packet, 0, {
      length: PACKET_BYTES,
      destinationMac: '02:00:00:00:00:02',
      sourceMac: '02:00:00:00:00:01',
      source: '10.0.0.1',
      destination: '10.0.0.2',
      sourcePort: 1000,
      destinationPort: FIRST_PORT + Math.floor((i * rules) / PACKETS),
      payload: new Uint8Array(PACKET_BYTES - 42),
    });
    return packet;
  });
}

/** Measures a case again and again. */
export interface RuleCase {
  /** Nanoseconds of a packet. */
  measure(): number;
  close(): void;
}

/** The flow table: what the soft NIC and the packet core ask. Reads the headers and looks up. */
export function softCase(count: number): RuleCase {
  const table = new FlowTable({ seed: 1 });
  for (const rule of rulesOf(count)) table.add(rule, 0);
  const packets = packetsFor(count);
  const bytes = new Uint8Array(PACKETS * PACKET_BYTES);
  for (const [i, packet] of packets.entries()) bytes.set(packet, i * PACKET_BYTES);
  const key = createFlowKey();
  return {
    measure() {
      let matched = 0;
      const start = performance.now();
      for (let pass = 0; pass < PASSES; pass++) {
        for (let i = 0; i < PACKETS; i++) {
          parseFlowKey(bytes, i * PACKET_BYTES, PACKET_BYTES, key);
          if (table.lookup(key) >= 0) matched++;
        }
      }
      const elapsed = performance.now() - start;
      if (matched !== PASSES * PACKETS) throw new Error(`${matched} packets matched, of ${PASSES * PACKETS}`);
      return (elapsed * 1e6) / matched;
    },
    close() {},
  };
}

/** The XDP program that AF_XDP sockets on Linux attach, run by the kernel alone. @returns a sentence when it cannot be loaded */
export async function linuxCase(count: number): Promise<RuleCase | string> {
  try {
    const calls = await SystemCalls.load();
    const runs = new TestRuns(calls);
    const rules = rulesOf(count).map((rule) => parseRule(rule, 'rule'));
    const { code, tables } = codeForQueues([{ queues: [0], rules }], [], 0);
    const maps = tables.length > 0 ? [fillTables(calls, tables)] : [];
    let descriptor: number;
    try {
      const program = createProgram(xdpProgram(code, xdpVerdict(XDP_TX)), {
        maps: maps.map(({ definition }) => definition),
      });
      descriptor = loadProgram(
        calls,
        program,
        maps.map(({ handle }) => handle),
      );
    } finally {
      for (const map of maps) map.close();
    }
    const packets = packetsFor(count);
    return {
      measure() {
        let nanoseconds = 0;
        for (const packet of packets) {
          const result = runs.run(descriptor, packet, REPEAT);
          if (result.verdict !== XDP_TX) throw new Error('a packet that a rule names was not accepted');
          nanoseconds += result.nanoseconds;
        }
        return nanoseconds / packets.length;
      },
      close() {
        calls.close(descriptor);
      },
    };
  } catch (error) {
    if (error instanceof PacketError) return error.message;
    throw error;
  }
}
