import type { MapDefinition } from '../ebpf/maps/contract.js';
import { LinuxMap } from './programs/linux-map.js';
import type { SystemCalls } from './system-calls.js';

/** The map for the tables of a program's rules: one value, all of it. */
export function tableMap(tables: Uint8Array): MapDefinition {
  return { name: 'tp4_rules', type: 'array', keySize: 4, valueSize: tables.length, maxEntries: 1, flags: 0 };
}

/** Makes it; whoever asked for it closes it. @throws PacketError NO_PRIVILEGE, SYSTEM_CALL */
export function fillTables(calls: SystemCalls, tables: Uint8Array): LinuxMap {
  const map = LinuxMap.create(calls, tableMap(tables));
  try {
    map.update(keyOf(0), tables);
    return map;
  } catch (error) {
    map.close();
    throw error;
  }
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
