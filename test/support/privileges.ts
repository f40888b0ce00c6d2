import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Capabilities that the privileged tests use, with their bits (linux/capability.h). */
const NEEDED = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21, CAP_BPF: 39 } as const;

/**
 * Why this machine cannot run the privileged tests, or undefined when it can: a Linux of at least 5.10 (by CAP_BPF) that is
 * little-endian, root's capabilities, and iproute2. Anything that fails beyond that is a failure of the test.
 *
 * With TP4_REQUIRE_LINUX_TESTS set, as in continuous integration, a reason to skip is an error.
 */
export function reasonToSkip(): string | undefined {
  const reason = findReason();
  if (reason !== undefined && process.env.TP4_REQUIRE_LINUX_TESTS) {
    throw new Error(`TP4_REQUIRE_LINUX_TESTS is set, but the privileged tests cannot run: ${reason}`);
  }
  return reason;
}

function findReason(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, not ${process.platform}`;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const held = BigInt(`0x${effective}`);
  const missing = Object.entries(NEEDED).filter(([, bit]) => ((held >> BigInt(bit)) & 1n) === 0n);
  if (missing.length > 0) return `needs root: ${missing.map(([name]) => name).join(', ')} missing`;
  if (spawnSync('ip', ['-Version']).error !== undefined) return 'needs `ip` of iproute2';
  return undefined;
}
