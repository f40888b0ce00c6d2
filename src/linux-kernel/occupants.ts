import { factOf } from '../kernel/answer.js';
import {
  describeHolders,
  type Holders,
  holdersOfProgram,
  holdersOfSocket,
  holdersOfXdpRings,
} from './doctor/holders.js';
import type { LinuxInterface } from './interfaces.js';
import { describeProgram, detachCommand } from './mode-answers.js';
import { readLink } from './netlink/link.js';
import { listXdpSockets } from './netlink/xdp-sockets.js';
import { programName } from './programs/program-name.js';
import type { Meaning } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

// Who is in the way, as far as netlink, bpf(2) and /proc tell this process.

/** Why a link is refused with EBUSY or EEXIST: the program that is attached, and the process that holds it. */
export function programInTheWay(calls: SystemCalls, { name, index }: LinuxInterface): Meaning {
  const code = 'INTERFACE_BUSY';
  const [program] = factOf(readLink(calls, index))?.programs ?? [];
  if (program === undefined) {
    const remedy = `\`tp4 doctor ${name}\` and \`bpftool net show dev ${name}\` tell more`;
    return { code, why: 'another XDP program is attached to it', remedy };
  }
  const what = `XDP program ${describeProgram({ ...program, name: programName(calls, program.id) })} is attached to it`;
  const holders = holdersOfProgram(program.id);
  if (holders.found.length > 0) return { code, why: `${what} by ${describeHolders(holders)}`, remedy: ending(holders) };
  if (holders.incomplete) return { code, why: what, remedy: `\`sudo tp4 doctor ${name}\` tells by whom` };
  return { code, why: `${what}, and no process holds it`, remedy: `\`${detachCommand(name, program.mode)}\`` };
}

/** Why a queue is refused with EBUSY: the process whose AF_XDP socket has it, or those that may be it. */
export function socketInTheWay(calls: SystemCalls, { name, index }: LinuxInterface, queue: number): Meaning {
  const code = 'QUEUE_BUSY';
  const what = `another AF_XDP socket has queue ${queue}`;
  const sockets = listXdpSockets(calls);
  const socket = factOf(sockets)?.find((bound) => bound.index === index && bound.queue === queue);
  const holders = socket && holdersOfSocket(socket.inode);
  if (holders !== undefined && holders.found.length > 0) {
    return {
      code,
      why: `${what}, of ${describeHolders(holders)}`,
      remedy: `${ending(holders)}, or take another queue`,
    };
  }
  const able = sockets.known ? undefined : holdersOfXdpRings();
  const why = able?.found.length ? `${what}; AF_XDP sockets here are of ${describeHolders(able)}` : what;
  return { code, why, remedy: `close that socket, or take another queue; \`sudo tp4 doctor ${name}\` tells more` };
}

function ending({ found }: Holders): string {
  return `end it (\`kill ${found.map(({ pid }) => pid).join(' ')}\`), which detaches everything`;
}
