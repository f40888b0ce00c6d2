// The virtual machine: QEMU in software emulation, so that it needs neither KVM nor root. Its two cards are joined back to back by a hub
// inside QEMU, and by nothing to anything else.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

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

/**
 * Boots a machine and waits for its end.
 *
 * @param machine folder of the unpacked machine packages
 * @param kernel path of the kernel
 * @param image path of its file system
 * @param folder where the two logs go
 * @returns what the tests wrote, whether all passed, and the console's log
 */
export async function runMachine({ machine, kernel, image, card, folder, seconds }) {
  const output = join(folder, 'output');
  const console_ = join(folder, 'console');
  const share = join(machine, 'usr/share');
  const args = ['-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none', '-no-reboot'];
  args.push('-L', join(share, 'qemu'), '-L', join(share, 'seabios'));
  args.push('-M', 'q35,sata=off,smbus=off,usb=off,hpet=off,vmport=off,graphics=off');
  args.push('-cpu', 'max,la57=off', '-accel', 'tcg,thread=multi,tb-size=512', '-m', '1536', '-smp', '2');
  args.push('-kernel', kernel, '-initrd', image, '-append', COMMAND_LINE);
  args.push('-serial', `file:${console_}`, '-serial', `file:${output}`, '-device', 'virtio-rng-pci');
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
  const environment = {
    ...process.env,
    LD_LIBRARY_PATH: libraries.join(':'),
    QEMU_MODULE_DIR: join(libraries[0], 'qemu'),
  };
  const ended = await run(join(machine, 'usr/bin/qemu-system-x86_64'), args, environment, seconds);
  const text = read(output);
  const status = /^status (\d)$/m.exec(text)?.[1];
  return { text, passed: status === '0', finished: status !== undefined, ended, console: read(console_) };
}

/** Runs QEMU, and ends it when the time is over or this process is told to end. */
function run(program, args, env, seconds) {
  return new Promise((resolve, reject) => {
    const qemu = spawn(program, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    const end = () => qemu.kill('SIGKILL');
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      end();
    }, seconds * 1000);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    const stop = () => {
      end();
      process.exitCode = 130;
    };
    for (const signal of signals) process.once(signal, stop);
    qemu.once('error', reject);
    qemu.once('close', (status) => {
      clearTimeout(timer);
      for (const signal of signals) process.off(signal, stop);
      resolve(late ? `it ran longer than ${seconds} s` : `QEMU ended with status ${status}`);
    });
  });
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // QEMU did not get as far as opening it
  }
}
