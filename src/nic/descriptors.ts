// The hardware descriptors of the soft NIC: 16 bytes, in the NIC's own memory. Only driver and device see them (I2). As on real
// devices the driver writes one format and the device writes another over it; the status word is last and 0 until then. The
// data-moving routines (src/arena/routines/assembly) know the same layout.
//
//                    word 0     word 1     word 2      word 3
//   receive, read    address    -          -           0
//   receive, back    RSS hash   -          -           status (bits 0-7), length (8-31)
//     with hints     RSS hash   type, tag  time        status (bits 0-7), length (8-31)
//   transmit, read   address    length     command     0
//   transmit, back   (as read)                         status
//
// Hints are written where a program wants them: what the hash was made of (bits 0-6), the control information of the outermost VLAN tag (8-23)
// with HAS_TAG and perhaps HAS_SERVICE_TAG, and HAS_HINTS; the lower half of the device's time in
// nanoseconds, which the driver completes. The room of receive frames is a register of the queue: they are all alike.

export const HARDWARE_DESCRIPTOR_BYTES = 16;
/** Write-back of received packets: where the length in bytes is, in the status word. */
export const LENGTH_SHIFT = 8;
/** Status: the device has finished with the descriptor. */
export const STATUS_DONE = 1;
/** Status and command: last descriptor of its packet. */
export const END_OF_PACKET = 2;
/** Status of a transmit descriptor: not sent, the link is down. */
export const STATUS_LINK_DOWN = 4;
/** In the word of the hash type: the device has written hints. */
export const HAS_HINTS = 1 << 31;
/** The packet has a VLAN tag (IEEE 802.1Q). */
export const HAS_TAG = 1 << 30;
/** It is one of IEEE 802.1ad. */
export const HAS_SERVICE_TAG = 1 << 29;
/** Where its control information is. */
export const TAG_SHIFT = 8;
/** What the hash was made of. */
export const HASH_TYPE_MASK = 0x7f;
