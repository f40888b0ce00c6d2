import type { Arena } from '../../arena/arena.js';
import type { MapContents } from '../../ebpf/maps/contract.js';
import { PacketError } from '../../errors.js';
import type { SystemCalls } from '../system-calls.js';
import { EventArrayRecords } from './event-array-records.js';
import { expectLinuxMap } from './linux-map.js';
import { RingBufferRecords } from './ring-buffer-records.js';

/** Records that programs put into a map. One reader a map: each record is handed out once. */
export interface RecordReader {
  /**
   * Records that found no room since it was opened, of maps of type perf_event_array; 0 of ring buffers, where the program is told. Those
   * that were lost last are counted when a record comes behind them.
   */
  readonly lost: number;
  /** The next record, the caller's; undefined where none is there, or one is being written. @throws PacketError WRONG_STATE */
  read(): Uint8Array | undefined;
  /**
   * Waits for a record without blocking the event loop. One wait at a time.
   *
   * @param timeoutMilliseconds 0 to 2^31 - 1
   * @returns whether there is one
   * @throws PacketError INVALID_OPTION, WRONG_STATE
   */
  wait(timeoutMilliseconds: number): Promise<boolean>;
  /** Ends reading; what was not read goes with the map, or with the reader. Idempotent. */
  close(): void;
}

/**
 * Opens the records of a map.
 *
 * @throws PacketError MAP_UNSUPPORTED for a map of another type, INVALID_OPTION, ARENA_EXHAUSTED, NO_PRIVILEGE, SYSTEM_CALL
 */
export function openRecords(calls: SystemCalls, arena: Arena, contents: MapContents): RecordReader {
  const { name, type } = contents.definition;
  if (type !== 'ringbuf' && type !== 'perf_event_array') {
    throw new PacketError('MAP_UNSUPPORTED', `map ${name}: type ${type} holds no records`, {
      remedy: 'records are read from maps of type ringbuf and perf_event_array; others have `entries`',
    });
  }
  const map = expectLinuxMap(contents, 'openRecords');
  return type === 'ringbuf' ? new RingBufferRecords(calls, arena, map) : new EventArrayRecords(calls, arena, map);
}
