import assert from 'node:assert/strict';

/** The neighbour's port, and the one whose packets are for the hostile application. */
export const NEIGHBOUR_PORT = 7001;
export const HOSTILE_PORT = 7002;
const HEADERS = 14 + 20 + 8;
const MOST_BYTES = 400;

/** Length of packet `number`: they differ, so that cut and joined ones are noticed. */
export function numberedLength(number: number): number {
  return HEADERS + 8 + ((number * 37) % (MOST_BYTES - HEADERS - 8));
}

/** Writes a UDP packet whose contents follow from its number. All bytes are below 128: none is a canary. */
export function writeNumbered(
  u8: Uint8Array,
  offset: number,
  number: number,
  [source, destination]: readonly [number, number],
): number {
  const length = numberedLength(number);
  u8.fill(0, offset, offset + length);
  u8.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0], offset);
  u8[offset + 16] = (length - 14) >> 8;
  u8[offset + 17] = (length - 14) & 0x7f; // wrong for some: nobody looks
  u8.set([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], offset + 22);
  u8.set([source >> 8, source & 0x7f, destination >> 8, destination & 0xff], offset + 34);
  for (let i = HEADERS; i < length; i++) u8[offset + i] = payloadByte(number, i - HEADERS);
  return length;
}

export function isForNeighbour(u8: Uint8Array, offset: number): boolean {
  return u8[offset + 36] === NEIGHBOUR_PORT >> 8 && u8[offset + 37] === (NEIGHBOUR_PORT & 0xff);
}

/** Checks that exactly packet `number` lies there. */
export function checkNumbered(u8: Uint8Array, offset: number, length: number, number: number): void {
  let found = 0;
  for (let i = 3; i >= 0; i--) found = found * 128 + u8[offset + HEADERS + i]!;
  assert.equal(found, number, 'the neighbour got another packet than the next one');
  assert.equal(length, numberedLength(number), `packet ${number} has another length`);
  for (let i = HEADERS; i < length; i++) {
    if (u8[offset + i] !== payloadByte(number, i - HEADERS)) assert.fail(`packet ${number} is damaged at byte ${i}`);
  }
}

/** The number in four bytes of seven bits, then bytes that follow from it. */
function payloadByte(number: number, i: number): number {
  if (i < 4) return Math.floor(number / 128 ** i) & 0x7f;
  return (number * 31 + i * 7) & 0x7f;
}
