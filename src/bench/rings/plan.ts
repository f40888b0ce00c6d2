import type { Pinning } from '../pinning.js';
import { PACES, RING_FORMATS, type RingsCase, type RingsSettings } from './case.js';
import { LOOP_LANGUAGES } from './descriptor-runs.js';

/** Every measurement of `tp4 bench rings` but the C twins', in the order of the tables. */
export function planCases(settings: RingsSettings, pinning: Pinning): RingsCase[] {
  const cases: RingsCase[] = [];
  for (const pace of PACES) {
    const batches = pace === 'symmetrical' ? [settings.batch] : settings.slowBatches;
    for (const slowBatch of batches) {
      for (const format of RING_FORMATS) cases.push({ kind: 'exchange', format, pace, slowBatch, settings, pinning });
    }
  }
  for (const format of RING_FORMATS) cases.push({ kind: 'hand-back', format, settings, pinning });
  for (const format of RING_FORMATS) {
    for (const language of LOOP_LANGUAGES) cases.push({ kind: 'minimal', format, language, settings, pinning });
  }
  return cases;
}
