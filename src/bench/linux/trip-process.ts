import { PacketError } from '../../errors.js';
import { LinuxKernel } from '../../linux-kernel/linux-kernel.js';
import { parseMacAddress } from '../../packet/mac-address.js';
import { PacketBatch } from '../../ring/packet-batch.js';
import { openSocket } from '../../socket/open-socket.js';
import type { PacketSocket } from '../../socket/packet-socket.js';
import type { SocketWaitOptions } from '../../socket/wait-options.js';
import { pinThisThread } from '../pinning.js';
import { FAR, NEAR } from './laboratory.js';
import type { TripTask, TripWait } from './trip.js';

// `node trip-process.js TASK`: one end of a round trip, the task as JSON. Writes "ready" once the socket is open; ping ends with a
// line as `parseTrips` reads it, echo is killed. A refused socket is "refused" and the error as JSON.

/** The smallest packet, without FCS. */
const LENGTH = 60;
const EXPERIMENTAL = 0x88b5;
/** Where ping writes the number of the packet. */
const NUMBER = 16;
/** A packet that takes longer is lost. */
const PATIENCE_MILLISECONDS = 200;
/** Trips before those that count, for the compiler. */
const WARM_UP = 2000;
/** After so many lost packets nothing will come any more. */
const MOST_LOST = 100;

const DESTINATION = parseMacAddress(FAR.mac)!;
const SOURCE = parseMacAddress(NEAR.mac)!;

const task = JSON.parse(process.argv[2] ?? '') as TripTask;
try {
  if (task.cpu >= 0) pinThisThread(task.cpu);
  // A block of one page: a packet that comes alone waits until its block is retired, whatever its size.
  const open = { interface: task.interface, mode: task.version, receive: 'all', blockSize: 4096 } as const;
  const socket = await openSocket({ kernel: new LinuxKernel(), ...open });
  process.stdout.write('ready\n');
  if (task.role === 'echo') await echo(socket, task.wait);
  else process.stdout.write(`${await ping(socket, task)}\n`);
  await socket.close();
} catch (error) {
  if (!(error instanceof PacketError)) throw error;
  process.stdout.write(`refused ${JSON.stringify(error.toJSON())}\n`);
}

/** Waits for a packet. @returns whether there is one before the time is over */
async function arrival(socket: PacketSocket, wait: TripWait): Promise<boolean> {
  const options: SocketWaitOptions = { timeoutMilliseconds: PATIENCE_MILLISECONDS };
  if (wait === 'busy') return socket.waitBlocking({ ...options, strategy: 'busy' });
  if (wait === 'sleep') return socket.waitBlocking(options);
  return socket.wait({ ...options, strategy: wait });
}

async function echo(socket: PacketSocket, wait: TripWait): Promise<never> {
  const batch = new PacketBatch(64);
  const { bytes } = socket;
  for (;;) {
    if (socket.receive(batch) === 0) {
      await arrival(socket, wait);
      continue;
    }
    for (let i = 0; i < batch.length; i++) {
      const at = batch.offset[i]!;
      for (let j = at; j < at + 6; j++) {
        const destination = bytes[j]!;
        bytes[j] = bytes[j + 6]!;
        bytes[j + 6] = destination;
      }
    }
    while (batch.length > 0) socket.send(batch);
  }
}

async function ping(socket: PacketSocket, { wait, count }: TripTask): Promise<string> {
  const out = new PacketBatch(1);
  const back = new PacketBatch(64);
  const { bytes } = socket;
  const times: number[] = [];
  let lost = 0;
  for (let number = 1; times.length < WARM_UP + count && lost < MOST_LOST; number++) {
    const start = performance.now();
    while (socket.allocate(out, 1) === 0) socket.send(out); // takes back what was sent
    writePing(bytes, out.offset[0]!, number);
    out.size[0] = LENGTH;
    while (out.length > 0) socket.send(out);
    let came = false;
    while (!came && performance.now() - start < PATIENCE_MILLISECONDS) {
      if (socket.receive(back) === 0) {
        await arrival(socket, wait);
        continue;
      }
      for (let i = 0; i < back.length; i++) came ||= readNumber(bytes, back.offset[i]!) === number;
      socket.release(back);
    }
    if (came) times.push((performance.now() - start) * 1e6);
    else lost++;
  }
  const counted = times.slice(WARM_UP).sort((a, b) => a - b);
  return `trips ${lost} ${counted.map(Math.round).join(' ')}`;
}

function writePing(bytes: Uint8Array, at: number, number: number): void {
  bytes.set(DESTINATION, at);
  bytes.set(SOURCE, at + 6);
  bytes[at + 12] = EXPERIMENTAL >> 8;
  bytes[at + 13] = EXPERIMENTAL & 0xff;
  for (let i = 0; i < 4; i++) bytes[at + NUMBER + i] = number >>> (8 * i);
}

function readNumber(bytes: Uint8Array, at: number): number {
  let number = 0;
  for (let i = 3; i >= 0; i--) number = (number << 8) | bytes[at + NUMBER + i]!;
  return number;
}
