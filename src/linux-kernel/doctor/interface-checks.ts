import { factOf } from '../../kernel/answer.js';
import type { DeviceReport } from '../../kernel/device-report.js';
import { ETH_HLEN } from '../constants.js';
import { largestMtu, receiveBufferUnit, receiveRoom } from '../frame-room.js';
import type { LinkFacts } from '../netlink/link.js';
import { blocks, type Finding, fine, hampers, unclear } from './contract.js';

/** Bytes of a frame of the default size. */
const DEFAULT_FRAME = 2048;

export function checkLink({ name, up, carrier, speed }: DeviceReport, kind: string | undefined): Finding {
  const check = 'link';
  if (!up) return blocks(check, 'the interface is down', `ip link set dev ${name} up`);
  if (carrier === undefined) return unclear(check, 'up; the kernel does not say whether there is a carrier');
  if (carrier) return fine(check, speed === undefined ? 'up' : `up, ${speed} Mbit/s`);
  const remedy =
    kind === 'veth' ? 'ip link set dev PEER up (its other end)' : 'plug the cable in, or switch the other end on';
  return blocks(check, 'no carrier: no packet comes or goes', remedy);
}

/** Whether packets fit the frames. */
export function checkMtu({ name, mtu, driver, xdp }: DeviceReport): Finding {
  const check = 'mtu';
  const longest = mtu + ETH_HLEN;
  const what = `${mtu}: packets of up to ${longest} bytes`;
  const most = largestMtu(1);
  if (mtu > most && driver !== 'loopback') {
    const remedy = `ip link set dev ${name} mtu ${most}, or segments: true`;
    return blocks(check, `${what}, and the largest frame has room for ${most + ETH_HLEN}`, remedy);
  }
  const larger = 'buffer: { frameSize: 4096 }';
  const room = receiveRoom(DEFAULT_FRAME, 0, 1);
  if (driver !== 'loopback' && longest > room)
    return hampers(check, `${what} fit no frame of the default size`, larger);
  const unit = receiveBufferUnit(driver);
  const roomInZeroCopy = receiveRoom(DEFAULT_FRAME, 0, unit);
  if (factOf(xdp)?.zeroCopy === true && longest > roomInZeroCopy) {
    const fills = `${driver} fills frames in whole units of ${unit} bytes`;
    return hampers(check, `${what}; in zero-copy ${fills}: ${roomInZeroCopy} of the default size`, larger);
  }
  return fine(check, `${mtu}; packets of up to ${longest} bytes in frames with room for ${room}`);
}

/** An AF_XDP socket hears one queue, and the device spreads packets over all of them. */
export function checkQueues({ name, queues }: DeviceReport): Finding {
  const check = 'queues';
  const { receive, combined, most } = queues;
  if (receive <= 1) return fine(check, 'one receive queue: one socket hears everything');
  const what = `${receive} receive queues share the packets (RSS), and an AF_XDP socket hears one of them`;
  const each = `a socket for each (queue: 0 to ${receive - 1})`;
  if (most === undefined) return hampers(check, what, each);
  const one = combined !== undefined && combined > 0 ? 'combined 1' : 'rx 1';
  return hampers(check, what, `ethtool -L ${name} ${one}, or ${each}`);
}

export function checkPromiscuity({ name, promiscuous, driver }: DeviceReport): Finding {
  const check = 'promiscuity';
  if (promiscuous === undefined) return unclear(check, 'the kernel does not tell');
  if (promiscuous) return fine(check, 'on: packets to all addresses are taken');
  if (driver === 'loopback' || driver === 'veth') return fine(check, `off, and ${driver} takes all packets anyway`);
  return fine(check, `off: packets to other addresses are not taken (ip link set dev ${name} promisc on)`);
}

/** What merges packets before a socket sees them. */
export function checkMerging({ name, offloads }: DeviceReport): Finding {
  const check = 'merging';
  if (offloads === undefined) return unclear(check, 'the driver does not tell its offloads', `ethtool -k ${name}`);
  if (offloads.lro) {
    return hampers(
      check,
      'LRO merges received packets, and most drivers run no XDP program with it',
      `ethtool -K ${name} lro off`,
    );
  }
  if (offloads['gro-hw']) {
    return hampers(
      check,
      'hardware GRO merges received packets; drivers switch it off for XDP or refuse',
      `ethtool -K ${name} rx-gro-hw off`,
    );
  }
  // XDP comes before GRO in the driver, and an attached program keeps generic mode from being merged.
  if (offloads.gro)
    return fine(check, `GRO is on: AF_XDP is not affected, V3 and V2 see merged packets (ethtool -K ${name} gro off)`);
  return fine(check, 'neither LRO nor GRO');
}

/** What is peculiar to veth pairs. */
export function checkVeth({ xdp }: DeviceReport, link: LinkFacts): Finding[] {
  if (link.kind !== 'veth') return [];
  const findings = [
    fine(
      'veth-checksums',
      'its other end sends unfinished checksums unless told not to (ethtool -K PEER tx off, over there)',
    ),
  ];
  if (!xdp.known) return [...findings, unclear('veth-redirect', xdp.why)];
  // What leaves here by XDP_TX or XDP_REDIRECT is received by the other end's NAPI, which runs only then; the kernel says so here.
  const works = 'XDP_TX here and XDP_REDIRECT to here pass; sockets send either way';
  const fails =
    'XDP_TX here and XDP_REDIRECT to here drop until the other end has a program or GRO; sockets are not affected';
  return [
    ...findings,
    fine('veth-redirect', xdp.value.transmitRedirected ? works : `${fails} (ethtool -K PEER gro on)`),
  ];
}

/** The conclusion: whether any mode works. */
export function checkModes({ modes }: DeviceReport): Finding {
  const check = 'modes';
  const named = (answer: string): string[] => modes.filter((one) => one.answer === answer).map(({ mode }) => mode);
  const works = named('works');
  const open = named('cannot-tell');
  if (works.length > 0) {
    const what = `${works.join(', ')} ${works.length === 1 ? 'works' : 'work'}`;
    return fine(check, open.length > 0 ? `${what}; ${open.join(', ')} may` : what);
  }
  if (open.length > 0) return unclear(check, `${open.join(', ')} may work; only trying tells`);
  const [first, ...others] = modes;
  if (first?.answer === 'does-not' && others.every((one) => one.answer === 'does-not' && one.why === first.why)) {
    return blocks(check, `none works: ${first.why}`, first.remedy);
  }
  return blocks(check, 'none works', 'tp4 devices says why for each');
}
