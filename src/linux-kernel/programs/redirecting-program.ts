import { PacketError } from '../../errors.js';
import { factOf } from '../../kernel/answer.js';
import type { LinuxInterface } from '../interfaces.js';
import { describeProgram } from '../mode-answers.js';
import { readLink } from '../netlink/link.js';
import { readXdpFeatures } from '../netlink/netdev-family.js';
import type { SystemCalls } from '../system-calls.js';
import type { BoundMode } from '../xdp-binding.js';
import { programName } from './program-name.js';

/**
 * Checks that a socket's mode is that of the program which redirects to it: the kernel would bind either way, and say another mode than it is.
 * Where nothing is attached yet, the mode must be one that the driver can run a program in.
 *
 * @throws PacketError MODE_UNSUPPORTED
 */
export function checkRedirectingProgram(calls: SystemCalls, device: LinuxInterface, mode: BoundMode): void {
  const [program] = factOf(readLink(calls, device.index))?.programs ?? [];
  const wanted = mode === 'xdp-generic' ? 'generic' : 'native';
  if (program === undefined) {
    if (wanted === 'generic' || factOf(readXdpFeatures(calls, device.index))?.native !== false) return;
    throw new PacketError('MODE_UNSUPPORTED', `${device.name}: its driver runs no XDP program that could redirect`, {
      remedy: "mode 'xdp-generic', and attach the program with the hook 'generic'",
    });
  }
  if (program.mode === wanted) return;
  const what = describeProgram({ ...program, name: programName(calls, program.id) });
  throw new PacketError(
    'MODE_UNSUPPORTED',
    `the XDP program ${what} of ${device.name} is attached in ${program.mode} mode, and ${mode} wants ${wanted} mode`,
    {
      remedy:
        program.mode === 'generic'
          ? "mode 'xdp-generic'; or attach the program with the hook 'native'"
          : "mode 'xdp-zc' or 'xdp-copy'; or attach the program with the hook 'generic'",
    },
  );
}
