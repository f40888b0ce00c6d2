// The virtual machine: QEMU in software emulation, so that it needs neither KVM nor root. Its two cards are joined back to back by a hub
// inside QEMU, and by nothing to anything else.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The cards whose drivers do AF_XDP zero-copy, as QEMU's options. */
export const CARDS = {
  // The driver has zero-copy only where it maps memory itself (iommu_platform), which wants virtio 1.
  virtio: 'virtio-net-pci,disable-legacy=on,iommu_platform=on,rx_queue_size=1024',
  igb: 'igb',
};

const COMMAND_LINE = [
  'console=ttyS0 panic=-1 loglevel=6 net.ifnames=0',
  // What software emulation pays for and nobody needs here.
  'mitigations=off nokaslr init_on_alloc=0 audit=0 apparmor=0 nowatchdog no_timer_check tsc=reliable',
  'random.trust_cpu=on cryptomgr.notests rcupdate.rcu_expedited=1',
].join(' ');

/** The last line that the machine writes: 0 when all tests passed. */
const STATUS = /^status (\d)$/;
/** What QEMU says of every machine whose cards reach nobody outside. */
const HARMLESS = /hub \d is not connected to host network/;

/**
 * Boots a machine, shows what its tests write as they write it, and waits for its end.
 *
 * @param machine folder of the unpacked machine packages
 * @param kernel path of the kernel
 * @param image path of its file system
 * @param folder where the console's log goes
 * @param seconds longest life of the machine
 * @param interruption ends it before
 * @returns whether all tests passed; `ended`: why they did not come to an end, absent when they did; the console's log
 */
export async function runMachine({ machine, kernel, image, card, folder, seconds, interruption }) {
  const log = join(folder, `console-${card}`);
  const share = join(machine, 'usr/share');
  const args = ['-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none', '-no-reboot'];
  args.push('-L', join(share, 'qemu'), '-L', join(share, 'seabios'));
  args.push('-M', 'q35,sata=off,smbus=off,usb=off,hpet=off,vmport=off,graphics=off');
  args.push('-cpu', 'max,la57=off', '-accel', 'tcg,thread=multi,tb-size=512', '-m', '1536', '-smp', '2');
  args.push('-kernel', kernel, '-initrd', image, '-append', COMMAND_LINE);
  args.push('-serial', `file:${log}`, '-chardev', 'stdio,id=output,signal=off', '-serial', 'chardev:output');
  args.push('-device', 'virtio-rng-pci');
  ['0a', '0b'].forEach((address, i) => {
    // A root port each: igb's virtual functions would claim the next card's place.
    args.push(
      '-netdev',
      `hubport,id=n${i},hubid=0`,
      '-device',
      `pcie-root-port,id=p${i},chassis=${i + 1},slot=${i + 1}`,
    );
    args.push('-device', `${CARDS[card]},romfile=,bus=p${i},netdev=n${i},mac=02:00:00:00:00:${address}`);
  });
  const libraries = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'].map((path) => join(machine, path));
  const env = { ...process.env, LD_LIBRARY_PATH: libraries.join(':'), QEMU_MODULE_DIR: join(libraries[0], 'qemu') };
  // It must not outlive this process, however that ends.
  const command = ['--pdeathsig', 'KILL', join(machine, 'usr/bin/qemu-system-x86_64'), ...args];
  const qemu = spawn('setpriv', command, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const status = showOutput(qemu.stdout);
  const complaints = readComplaints(qemu.stderr);
  const end = await endOf(qemu, seconds, interruption);
  const text = await status;
  const ended = text === undefined ? `${end}${await complaints}` : undefined;
  return { passed: text === '0', ended, console: existsSync(log) ? readFileSync(log, 'utf8') : '' };
}

/** Shows each line, but for the last one. @returns what that says; undefined without it */
async function showOutput(stream) {
  let status;
  for await (const line of createInterface({ input: stream })) {
    status = STATUS.exec(line)?.[1];
    if (status === undefined) console.log(line);
  }
  return status;
}

/** What QEMU itself says that matters. */
async function readComplaints(stream) {
  let text = '';
  for await (const line of createInterface({ input: stream })) if (!HARMLESS.test(line)) text += `\n${line}`;
  return text;
}

/** Waits for QEMU, and ends it when the time is over. @returns how it ended */
function endOf(qemu, seconds, interruption) {
  return new Promise((resolve, reject) => {
    const kill = () => qemu.kill('SIGKILL');
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      kill();
    }, seconds * 1000);
    interruption.addEventListener('abort', kill);
    if (interruption.aborted) kill();
    qemu.once('error', reject);
    qemu.once('close', (status) => {
      clearTimeout(timer);
      interruption.removeEventListener('abort', kill);
      resolve(late ? `it ran longer than ${seconds} s (--seconds)` : `QEMU ended with status ${status}`);
    });
  });
}
