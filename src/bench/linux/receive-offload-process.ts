import { PacketError } from '../../errors.js';
import { AF_INET, IFNAMSIZ, SIOCETHTOOL, SOCK_CLOEXEC, SOCK_DGRAM } from '../../linux-kernel/constants.js';
import { Struct } from '../../linux-kernel/struct.js';
import { systemCallError } from '../../linux-kernel/system-call-error.js';
import { SystemCalls } from '../../linux-kernel/system-calls.js';

// `node receive-offload-process.js INTERFACE`: turns generic receive offload on, as `ethtool -K INTERFACE gro on` does. A veth
// interface then has a receive queue of its own, and takes frames that come without a socket buffer.

/** <linux/ethtool.h> */
const ETHTOOL_SGRO = 0x2c;

const name = process.argv[2] ?? '';
const calls = await SystemCalls.load();
const descriptor = calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
if (descriptor < 0) throw systemCallError('socket', -descriptor, 'ask for generic receive offload');
const value = new Struct(8).u32(0, ETHTOOL_SGRO).u32(4, 1); // struct ethtool_value
const request = new Struct(40).text(0, name).pointer(IFNAMSIZ, value, calls.address(value));
const result = calls.ioctl(descriptor, SIOCETHTOOL, request);
calls.close(descriptor);
if (result < 0)
  throw new PacketError('SYSTEM_CALL', `${name} has no generic receive offload`, {
    remedy: 'a driver whose receive offload can be set, as veth has it',
    syscall: 'ioctl SIOCETHTOOL',
    errno: -result,
  });
