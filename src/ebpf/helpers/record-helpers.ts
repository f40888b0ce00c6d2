import { E2BIG, EAGAIN, EFAULT, EINVAL, ENOSPC, EOPNOTSUPP } from '../errno.js';
import { CONTROL_CPU, PACKET_DATA, PACKET_DATA_END } from '../execution.js';
import type { Machine } from '../machine.js';
import { PerfEventMap } from '../maps/perf-event-map.js';
import { RingBufferMap } from '../maps/ring-buffer-map.js';
import { copyBytes } from '../small-copies.js';
import type { Helper } from './contract.js';
import { mapArgument } from './map-helpers.js';
import { currentRecord, giveBack, giveBackUnsigned, pointerArgument, registerAt, smallArgument } from './registers.js';

/** Do not wake the reader, or do in any case (BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP); it reads when it likes. */
const WAKE_FLAGS = 3;
/** Index of an entry: the CPU's own (BPF_F_CURRENT_CPU). */
const CURRENT_CPU = 0xffffffff;
/** The upper half of the flags: bytes of the packet to put behind the data (BPF_F_CTXLEN_MASK). */
const PACKET_BYTES = 0xfffff;

const ringbufOutput: Helper = {
  name: 'ringbuf_output',
  number: 130,
  arguments: ['map', 'memory', 'size-or-zero', 'anything'],
  returns: 'number',
  mapTypes: ['ringbuf'],
  call(machine) {
    giveBack(machine, outputToRing(machine));
  },
};

const ringbufReserve: Helper = {
  name: 'ringbuf_reserve',
  number: 131,
  arguments: ['map', 'allocation-size', 'anything'],
  returns: 'reserved-memory-or-null',
  mapTypes: ['ringbuf'],
  call(machine) {
    const map = mapArgument(machine);
    const bytes = smallArgument(machine, 2);
    const isGood = map instanceof RingBufferMap && bytes >= 0 && smallArgument(machine, 3) === 0; // no flags are
    giveBack(machine, isGood ? map.reserve(bytes) : 0);
  },
};

const ringbufSubmit: Helper = {
  name: 'ringbuf_submit',
  number: 132,
  arguments: ['reserved-memory', 'anything'],
  returns: 'nothing',
  releases: true,
  call(machine) {
    release(machine, false);
  },
};

const ringbufDiscard: Helper = {
  name: 'ringbuf_discard',
  number: 133,
  arguments: ['reserved-memory', 'anything'],
  returns: 'nothing',
  releases: true,
  call(machine) {
    release(machine, true);
  },
};

const ringbufQuery: Helper = {
  name: 'ringbuf_query',
  number: 134,
  arguments: ['map', 'anything'],
  returns: 'number',
  mapTypes: ['ringbuf'],
  call(machine) {
    const map = mapArgument(machine);
    giveBackUnsigned(machine, map instanceof RingBufferMap ? map.fact(smallArgument(machine, 2)) : 0);
  },
};

const perfEventOutput: Helper = {
  name: 'perf_event_output',
  number: 25,
  arguments: ['context', 'map', 'anything', 'memory', 'size-or-zero'],
  returns: 'number',
  mapTypes: ['perf_event_array'],
  gplOnly: true,
  call(machine) {
    giveBack(machine, outputEvent(machine));
  },
};

/** Helpers that put records out for control code. */
export const RECORD_HELPERS: readonly Helper[] = [
  ringbufOutput,
  ringbufReserve,
  ringbufSubmit,
  ringbufDiscard,
  ringbufQuery,
  perfEventOutput,
];

function outputToRing(machine: Machine): number {
  const map = mapArgument(machine);
  const bytes = smallArgument(machine, 3);
  const flags = smallArgument(machine, 4);
  if (!(map instanceof RingBufferMap) || bytes < 0 || flags < 0 || (flags & ~WAKE_FLAGS) !== 0) return -EINVAL;
  const data = pointerArgument(machine, 2, bytes);
  if (data < 0) return -EFAULT;
  const record = map.reserve(bytes);
  if (record === 0) return -EAGAIN;
  copyBytes(machine.arena.u8, record, data, bytes);
  map.release(record, false);
  return 0;
}

/** Ends a record, whichever ring of the machine it is in. */
function release(machine: Machine, isDiscarded: boolean): void {
  const record = smallArgument(machine, 1);
  for (let handle = 1; handle <= machine.lastMap; handle++) {
    const map = machine.map(handle);
    if (map instanceof RingBufferMap && map.holds(record)) map.release(record, isDiscarded);
  }
}

function outputEvent(machine: Machine): number {
  const { i32 } = machine.arena;
  const map = machine.map(smallArgument(machine, 2));
  const bytes = smallArgument(machine, 5);
  const flags = registerAt(machine, 3);
  const packetBytes = i32[flags + 1]! >>> 0;
  if (!(map instanceof PerfEventMap) || bytes < 0 || packetBytes > PACKET_BYTES) return -EINVAL;
  const data = pointerArgument(machine, 4, bytes);
  const record = currentRecord(machine);
  const packet = i32[record + PACKET_DATA]!;
  if (data < 0 || packet + packetBytes > i32[record + PACKET_DATA_END]!) return -EFAULT;
  const cpu = i32[(machine.control >> 2) + CONTROL_CPU]!;
  const named = i32[flags]! >>> 0;
  const index = named === CURRENT_CPU ? cpu : named;
  if (index >= map.count) return -E2BIG;
  if (index !== cpu) return -EOPNOTSUPP;
  return map.put(data, bytes, packet, packetBytes) ? 0 : -ENOSPC;
}
