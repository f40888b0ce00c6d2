import { readdirSync, readFileSync } from 'node:fs';
import type { Known } from '../../kernel/answer.js';
import { type Capabilities, capabilityRemedy, missingForXdp } from '../capabilities.js';
import { repair } from '../repair.js';
import { blocks, type Finding, fine, hampers, unclear } from './contract.js';

/** Least versions: of Node (package.json), and of Linux for AF_XDP as it is used here. */
const LEAST_NODE = 20;
const LEAST_LINUX = [5, 10] as const;
/** The packet buffer that a socket makes unless told otherwise (PacketBufferOptions). */
const DEFAULT_FRAMES = 4096;
const DEFAULT_FRAME_SIZE = 2048;

export function checkNode(version = process.versions.node): Finding {
  const major = Number.parseInt(version, 10);
  if (major >= LEAST_NODE) return fine('node', `Node ${version}`);
  return blocks('node', `Node ${version} is too old`, `Node ${LEAST_NODE} or later: https://nodejs.org/en/download`);
}

/** @param release as `uname -r` has it */
export function checkKernel(release: string): Finding {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [leastMajor, leastMinor] = LEAST_LINUX;
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return fine('kernel', `Linux ${release}`);
  return blocks('kernel', `Linux ${release} is too old`, `Linux ${leastMajor}.${leastMinor} or later`);
}

/** @param afXdp whether a socket could be made; undefined when this process may not try */
export function checkAfXdp(afXdp: boolean | undefined, config: ReadonlyMap<string, string> | undefined): Finding {
  const check = 'af-xdp';
  if (afXdp === true || config?.has('XDP_SOCKETS')) return fine(check, 'the kernel has AF_XDP');
  if (afXdp === false || config !== undefined)
    return blocks(check, 'this kernel has no AF_XDP', 'a kernel with CONFIG_XDP_SOCKETS=y');
  return unclear(
    check,
    'only root may ask for AF_XDP, and the kernel does not show how it was built',
    'sudo tp4 doctor',
  );
}

export function checkJit(config: ReadonlyMap<string, string> | undefined, proc = '/proc'): Finding {
  const check = 'bpf-jit';
  const setting = config?.has('BPF_JIT_ALWAYS_ON') ? '1' : readText(`${proc}/sys/net/core/bpf_jit_enable`);
  if (setting === undefined) return unclear(check, 'the setting is not to be seen from this network namespace');
  if (setting !== '0') return fine(check, 'XDP programs are compiled');
  return hampers(check, 'XDP programs are interpreted, which is slow', 'sysctl -w net.core.bpf_jit_enable=1');
}

export function checkUnprivilegedBpf(proc = '/proc'): Finding {
  const setting = readText(`${proc}/sys/kernel/unprivileged_bpf_disabled`);
  const state = setting === undefined ? 'unknown' : setting === '0' ? 'allowed' : 'off';
  return fine('unprivileged-bpf', `${state}; XDP programs need CAP_BPF and CAP_NET_ADMIN either way`);
}

export function checkCapabilities(capabilities: Known<Capabilities>): Finding {
  const check = 'capabilities';
  if (!capabilities.known) return unclear(check, capabilities.why);
  const missing = missingForXdp(capabilities.value);
  if (missing.length === 0) return fine(check, 'all that packet sockets need');
  return blocks(check, `this process lacks ${missing.join(', ')}`, capabilityRemedy(missing));
}

/** Packet buffers are locked memory, on every kernel; before Linux 5.11 BPF maps are, too. */
export function checkLockedMemory(capabilities: Known<Capabilities>, proc = '/proc'): Finding {
  const check = 'locked-memory';
  if (capabilities.known && capabilities.value.has('CAP_IPC_LOCK')) return fine(check, 'unlimited (CAP_IPC_LOCK)');
  const limit = /^Max locked memory\s+(\S+)/m.exec(readText(`${proc}/self/limits`) ?? '')?.[1];
  if (limit === undefined) return unclear(check, `${proc}/self/limits does not name the limit`);
  const kilobytes = Number(limit) / 1024;
  const needed = (DEFAULT_FRAMES * DEFAULT_FRAME_SIZE) / 1024;
  const text = limit === 'unlimited' ? limit : `${kilobytes} KiB`;
  if (limit === 'unlimited' || kilobytes >= needed) return fine(check, text);
  return blocks(
    check,
    `${text}, and a packet buffer of ${DEFAULT_FRAMES} frames takes ${needed} KiB`,
    `ulimit -l ${needed * 2} as root (LimitMEMLOCK= in systemd), or buffer: { frames: ${Math.max(8, Math.floor((kilobytes * 1024) / DEFAULT_FRAME_SIZE))} }`,
  );
}

/** /proc/net shows the namespace of the process, /sys the one in which it was mounted. */
export function checkNamespace(proc = '/proc', sysfs = '/sys/class/net'): Finding {
  const check = 'namespace';
  const table = readText(`${proc}/net/dev`);
  const shown = list(sysfs);
  if (table === undefined || shown === undefined) return unclear(check, `${proc}/net/dev or ${sysfs} cannot be read`);
  const names = Array.from(table.matchAll(/^\s*([^\s:]+):/gm), ([, name]) => name!);
  const foreign = names.filter((name) => !shown.includes(name));
  if (foreign.length === 0) return fine(check, '/sys shows the interfaces of this network namespace');
  return blocks(
    check,
    `/sys shows another network namespace: ${foreign.join(', ')} is not in it`,
    'ip netns exec NAMESPACE tp4 doctor (it mounts the /sys of the namespace)',
  );
}

/** What earlier runs have changed and, being killed, not undone. */
export function checkJournal(report = repair(false)): Finding {
  const check = 'left-behind';
  const left = report.repairs.filter(({ outcome }) => outcome === 'pending' || outcome === 'kept');
  if (left.length > 0) {
    const settings = left.map(
      ({ change, why }) => `${change.setting} of ${change.interface}${why === undefined ? '' : ` (${why})`}`,
    );
    const remedy = left.find((one) => one.remedy !== undefined)?.remedy ?? 'tp4 doctor --repair';
    return hampers(check, `changed by a program that was killed: ${[...new Set(settings)].join(', ')}`, remedy);
  }
  return fine(check, 'nothing');
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] | undefined {
  try {
    return readdirSync(folder);
  } catch {
    return undefined;
  }
}
