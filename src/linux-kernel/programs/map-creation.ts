import { BPF_F_NO_PREALLOC, MAP_TYPES, type MapDefinition } from '../../ebpf/maps/contract.js';
import { BPF_MAP_CREATE, E2BIG, EINVAL, ENOMEM } from '../constants.js';
import { Struct } from '../struct.js';
import type { Meanings } from '../system-call-error.js';
import type { SystemCalls } from '../system-calls.js';
import { bpfError } from './bpf-error.js';
import { kernelName } from './object-name.js';
import { countPossibleCpus } from './possible-cpus.js';

/**
 * Makes a map, empty.
 *
 * @returns its descriptor, which is the caller's
 * @throws PacketError MAP_UNSUPPORTED for sizes and flags that Linux does not take, NO_PRIVILEGE, SYSTEM_CALL
 */
export function createMap(calls: SystemCalls, definition: MapDefinition): number {
  const { name, type, keySize, valueSize, flags, inner } = definition;
  const template = inner === undefined ? undefined : createMap(calls, inner);
  const attributes = new Struct(72)
    .u32(0, MAP_TYPES[type])
    .u32(4, keySize)
    .u32(8, valueSize)
    .u32(12, entriesOf(definition))
    .u32(16, flags)
    .u32(20, template ?? 0)
    .text(28, kernelName(name));
  const map = calls.bpf(BPF_MAP_CREATE, attributes);
  if (template !== undefined) calls.close(template); // the kernel has seen what the maps in it are like
  if (map >= 0) return map;
  throw bpfError('BPF_MAP_CREATE', -map, `make the map ${name}`, meanings(definition));
}

/** An array of perf events without a size has one for each CPU, as other loaders make it. */
function entriesOf({ type, maxEntries }: MapDefinition): number {
  return type === 'perf_event_array' && maxEntries === 0 ? countPossibleCpus() : maxEntries;
}

function meanings({ type, keySize, valueSize, maxEntries, flags }: MapDefinition): Meanings {
  const sizes = `keys of ${keySize}, values of ${valueSize} bytes, ${maxEntries} entries, flags 0x${flags.toString(16)}`;
  const remedy =
    type === 'lpm_trie' && (flags & BPF_F_NO_PREALLOC) === 0
      ? 'tries of prefixes want the flag BPF_F_NO_PREALLOC'
      : `change the definition of the map; Linux's documentation of ${type} (docs.kernel.org/bpf/maps.html) says what it takes`;
  const why = `Linux makes no ${type} of ${sizes}`;
  const large = `the kernel does not give it so much memory (${sizes})`;
  return {
    [EINVAL]: { code: 'MAP_UNSUPPORTED', why, remedy },
    [E2BIG]: { code: 'MAP_UNSUPPORTED', why: large, remedy: 'make it smaller' },
    [ENOMEM]: { code: 'MAP_UNSUPPORTED', why: large, remedy: 'make it smaller' },
  };
}
