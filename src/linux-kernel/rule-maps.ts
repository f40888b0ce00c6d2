import type { MapDefinition } from '../ebpf/maps/contract.js';
import type { RuleTable } from '../steering/programs/rule-tables.js';
import { LinuxMap } from './programs/linux-map.js';
import type { SystemCalls } from './system-calls.js';

/** The hash map for a table of rules. */
export function tableMap({ keyBytes, entries }: RuleTable): MapDefinition {
  return { name: 'tp4_rules', type: 'hash', keySize: keyBytes, valueSize: 4, maxEntries: entries.size, flags: 0 };
}

/** Makes a table's map; whoever asked for it closes it. @throws PacketError NO_PRIVILEGE, SYSTEM_CALL */
export function fillTable(calls: SystemCalls, table: RuleTable): LinuxMap {
  const map = LinuxMap.create(calls, tableMap(table));
  try {
    map.updateAll(entriesOf(table));
    return map;
  } catch (error) {
    map.close();
    throw error;
  }
}

function* entriesOf({ entries }: RuleTable): IterableIterator<readonly [key: Uint8Array, value: Uint8Array]> {
  for (const [key, value] of entries) yield [Buffer.from(key, 'hex'), new Uint8Array(Int32Array.of(value).buffer)];
}

/** Packets that rules have dropped, by queue, as the program counts them. */
export class RuleDrops {
  readonly map: LinuxMap;

  /** @throws PacketError NO_PRIVILEGE, SYSTEM_CALL */
  constructor(calls: SystemCalls, queues: number) {
    this.map = LinuxMap.create(calls, {
      name: 'tp4_rule_drops',
      type: 'array',
      keySize: 4,
      valueSize: 8,
      maxEntries: queues,
      flags: 0,
    });
  }

  of(queue: number): number {
    const value = this.map.lookup(keyOf(queue));
    return value === undefined ? 0 : Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0, true));
  }

  /** A queue has a new socket. */
  reset(queue: number): void {
    this.map.update(keyOf(queue), new Uint8Array(8));
  }

  close(): void {
    this.map.close();
  }
}

function keyOf(queue: number): Uint8Array {
  return new Uint8Array(Int32Array.of(queue).buffer);
}
