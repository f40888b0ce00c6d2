import type { EmptyFrameSource, PacketArray } from '../packet-array/packet-array.js';
import type { ArrayEnd } from './contract.js';

/** The end of an array that nothing comes from: of a queue that does not receive, or does not send. */
export const NO_END: ArrayEnd & EmptyFrameSource = {
  room: 0,
  populate: () => 0,
  flush(array: PacketArray, count: number) {
    array.start = (array.start + count) | 0;
  },
};
