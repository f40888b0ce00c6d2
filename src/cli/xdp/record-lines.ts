import { PacketError } from '../../errors.js';
import type { LoadedObject } from '../../kernel/programs.js';
import type { LinuxKernel } from '../../linux-kernel/linux-kernel.js';
import type { RecordReader } from '../../linux-kernel/programs/record-reader.js';
import { didYouMean } from '../../suggestion.js';

/** Waits are that short, so that the end of the command is not missed for longer. */
const WAIT_MILLISECONDS = 100;
/** Records behind each other before signals and timers have their turn. */
const MOST_AT_ONCE = 1000;

/** Its line of help. */
export const RECORDS_HELP =
  '  --records NAME    what programs put into this ring buffer or perf_event_array, a line for each record';

/** Opens the records of a map. @throws PacketError INVALID_OPTION, MAP_UNSUPPORTED */
export function openNamedRecords(kernel: LinuxKernel, { maps }: LoadedObject, name: string): Promise<RecordReader> {
  const map = maps.get(name);
  if (map !== undefined) return kernel.openRecords(map);
  const names = [...maps.keys()];
  throw new PacketError('INVALID_OPTION', `--records: the object has no map ${name}${didYouMean(name, names)}`, {
    remedy: names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`,
  });
}

/** Prints records as their bytes until the signal, or until so many seconds are over. */
export async function printRecords(
  reader: RecordReader,
  seconds: number,
  signal: AbortSignal,
  print: (text: string) => void,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!signal.aborted && performance.now() < end) {
    if (!(await reader.wait(WAIT_MILLISECONDS))) continue;
    for (let i = 0; i < MOST_AT_ONCE; i++) {
      const record = reader.read();
      if (record === undefined) break;
      print(Array.from(record, (byte) => byte.toString(16).padStart(2, '0')).join(' '));
    }
  }
}
