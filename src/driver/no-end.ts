import type { PacketArray } from '../packet-array/packet-array.js';
import type { QueueEnds } from './contract.js';

/** The end of an array that nothing comes from: of a queue that does not receive, or does not send. */
export const NO_END: QueueEnds['receive'] = {
  room: 0,
  frameBytes: 1,
  populate: () => 0,
  recycle() {},
  flush(array: PacketArray, count: number) {
    array.start = (array.start + count) | 0;
  },
};
