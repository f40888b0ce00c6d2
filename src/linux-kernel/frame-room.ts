import { ETH_HLEN, XDP_PACKET_HEADROOM } from './constants.js';

/** Bytes of the largest frame that an AF_XDP packet buffer can have: a page. */
export const LARGEST_FRAME = 4096;

/**
 * Drivers whose device counts receive buffers in whole units of so many bytes (SRRCTL.BSIZEPACKET). In zero-copy the frame is that
 * buffer: what does not fit the units in it would arrive in a second frame, as if it were a packet of its own.
 */
const RECEIVE_BUFFER_UNITS: Readonly<Partial<Record<string, number>>> = { igb: 1024, igc: 1024 };

/** Bytes that the frames of a driver grow by in zero-copy; 1 in most. */
export function receiveBufferUnit(driver: string): number {
  return RECEIVE_BUFFER_UNITS[driver] ?? 1;
}

/**
 * Bytes of a received packet, with its Ethernet header, that a frame takes in.
 *
 * @param frameSize bytes of the frame
 * @param headroom bytes that the packet buffer keeps free in front of packets, besides the kernel's own
 * @param unit what {@link receiveBufferUnit} says in zero-copy; else 1
 */
export function receiveRoom(frameSize: number, headroom: number, unit: number): number {
  const bytes = frameSize - XDP_PACKET_HEADROOM - headroom;
  return bytes - (bytes % unit);
}

/** Largest MTU in bytes whose packets fit one frame. */
export function largestMtu(unit: number): number {
  return receiveRoom(LARGEST_FRAME, 0, unit) - ETH_HLEN;
}
