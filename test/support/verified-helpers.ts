import type { ArgumentType, Helper, HelperTable, ReturnType } from '../../src/ebpf/helpers/contract.js';
import { createHelperTable, XDP_HELPERS } from '../../src/ebpf/helpers/xdp-helpers.js';

/** What the verifier is told of a helper that is only called in verified programs: they do not run. */
function signature(
  name: string,
  number: number,
  types: readonly ArgumentType[],
  returns: ReturnType,
  more: Partial<Helper> = {},
): Helper {
  return { name, number, arguments: types, returns, call: undefined, ...more };
}

const SIGNATURES = createHelperTable([
  signature('perf_event_output', 25, ['context', 'map', 'anything', 'memory', 'size-or-zero'], 'number', {
    mapTypes: ['perf_event_array'],
  }),
  signature('ringbuf_reserve', 131, ['map', 'allocation-size', 'anything'], 'reserved-memory-or-null', {
    mapTypes: ['ringbuf'],
  }),
  signature('ringbuf_submit', 132, ['reserved-memory', 'anything'], 'nothing', { releases: true }),
  signature('ringbuf_discard', 133, ['reserved-memory', 'anything'], 'nothing', { releases: true }),
  signature('for_each_map_elem', 164, ['map', 'callback', 'stack-or-null', 'anything'], 'number'),
  signature('loop', 181, ['anything', 'callback', 'stack-or-null', 'anything'], 'number'),
]);

/** What XDP programs may call, and helpers that the engine itself does not have. */
export const VERIFIED_HELPERS: HelperTable = {
  byNumber: (number) => XDP_HELPERS.byNumber(number) ?? SIGNATURES.byNumber(number),
  byName: (name) => XDP_HELPERS.byName(name),
};
