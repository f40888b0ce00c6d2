// Changes an interface's settings and puts them back, again and again: JOURNAL SYSFS INTERFACE ROUNDS.
// With 0 rounds it writes "held" once it has changed them, and never puts them back.
import { InterfaceSettings } from '../../../src/linux-kernel/interface-settings.js';
import { Journal } from '../../../src/linux-kernel/journal.js';
import { withNapiSettings } from '../../../src/linux-kernel/napi-settings.js';
import { SystemCalls } from '../../../src/linux-kernel/system-calls.js';

const [folder, sysfs, name, rounds] = process.argv.slice(2);
await SystemCalls.load();
const surroundings = { journal: new Journal(folder), settings: new InterfaceSettings(sysfs), namespace: 1 };
const options = { deferHardIrqs: 2, groFlushTimeoutNanoseconds: 200_000 };
if (rounds === '0') {
  withNapiSettings(name!, options, surroundings);
  console.log('held');
  setInterval(() => {}, 60_000);
}
for (let round = 0; round < Number(rounds); round++) {
  withNapiSettings(name!, options, surroundings)();
}
