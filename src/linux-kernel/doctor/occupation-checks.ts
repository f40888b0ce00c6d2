import type { Known } from '../../kernel/answer.js';
import type { DeviceReport } from '../../kernel/device-report.js';
import { describeProgram, detachCommand } from '../mode-answers.js';
import type { BoundXdpSocket } from '../netlink/xdp-sockets.js';
import { blocks, type Finding, fine, unclear } from './contract.js';
import { describeHolders, holdersOfProgram, holdersOfSocket } from './holders.js';

/** Whether another program is in the place of ours, and whose it is. */
export function checkPrograms({ name, programs }: DeviceReport, proc = '/proc'): Finding[] {
  const check = 'xdp-program';
  if (!programs.known) return [unclear(check, programs.why)];
  if (programs.value.length === 0) return [fine(check, 'none is attached')];
  return programs.value.map((program) => {
    const holders = holdersOfProgram(program.id, proc);
    const what = `XDP program ${describeProgram(program)} is attached in ${program.mode} mode`;
    if (holders.found.length > 0) {
      const pids = holders.found.map(({ pid }) => pid).join(' ');
      return blocks(check, `${what} by ${describeHolders(holders)}`, `kill ${pids} (which detaches it)`);
    }
    if (holders.incomplete) return blocks(check, `${what}; only root may see by whom`, `sudo tp4 doctor ${name}`);
    return blocks(
      check,
      `${what}, and no process holds it (attached without a link, or pinned)`,
      detachCommand(name, program.mode),
    );
  });
}

/** Whether AF_XDP sockets have queues of the interface, and whose they are. */
export function checkSockets(
  { name, index }: DeviceReport,
  sockets: Known<readonly BoundXdpSocket[]>,
  proc = '/proc',
): Finding[] {
  const check = 'af-xdp-sockets';
  if (!sockets.known) return [unclear(check, sockets.why)];
  const here = sockets.value.filter((socket) => socket.index === index);
  if (here.length === 0) return [fine(check, 'no queue is taken')];
  return here.map(({ queue, inode }) => {
    const holders = holdersOfSocket(inode, proc);
    const what = `queue ${queue} has an AF_XDP socket`;
    if (holders.found.length > 0) {
      const pids = holders.found.map(({ pid }) => pid).join(' ');
      return blocks(check, `${what} of ${describeHolders(holders)}`, `kill ${pids}, or take another queue`);
    }
    return blocks(check, `${what}; only root may see whose`, `sudo tp4 doctor ${name}`);
  });
}
