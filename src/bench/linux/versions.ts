import type { Mode } from '../../kernel/contract.js';

/** The modes of the Linux kernel, in the order of the talk's table: packet sockets, then what V4 became. */
export const LINUX_VERSIONS: readonly Mode[] = ['v2', 'v3', 'xdp-generic', 'xdp-copy', 'xdp-zc'];
