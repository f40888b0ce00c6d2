import type { ClassicInstruction } from '../../src/steering/programs/classic-program.js';

/** What the kernel tells a filter beside the packet: the outermost VLAN tag, which it has taken out. */
export interface TakenTag {
  readonly tag: number | undefined;
}

/**
 * Runs a classic BPF program as the kernel would, for tests: only the instructions that this project uses, and with the kernel's
 * checks (no word recalled before it is stored, no jump beyond the end, a load beyond the packet ends with 0).
 *
 * @returns what the program returns: bytes to keep
 */
export function runClassic(program: readonly ClassicInstruction[], packet: Uint8Array, beside: TakenTag): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const scratch = new Array<number | undefined>(16).fill(undefined);
  let accumulator = 0;
  let index = 0;
  for (let at = 0; at < program.length; at++) {
    const { code, jumpTrue, jumpFalse, value } = program[at]!;
    const branch = (holds: boolean): void => {
      at += holds ? jumpTrue : jumpFalse;
    };
    const isOutside = (bytes: number): boolean => index + value + bytes > packet.length;
    switch (code) {
      case 0x00:
        accumulator = value;
        break;
      case 0x01:
        index = value;
        break;
      case 0x80:
        accumulator = packet.length;
        break;
      case 0x20:
        if (value === 0xfffff02c) accumulator = beside.tag ?? 0;
        else if (value === 0xfffff030) accumulator = beside.tag === undefined ? 0 : 1;
        else throw new Error(`an absolute load at ${value}`);
        break;
      case 0x50:
        if (isOutside(1)) return 0;
        accumulator = view.getUint8(index + value);
        break;
      case 0x48:
        if (isOutside(2)) return 0;
        accumulator = view.getUint16(index + value);
        break;
      case 0x40:
        if (isOutside(4)) return 0;
        accumulator = view.getUint32(index + value);
        break;
      case 0x60: {
        const word = scratch[value];
        if (word === undefined) throw new Error(`instruction ${at} recalls word ${value}, which holds nothing`);
        accumulator = word;
        break;
      }
      case 0x02:
        scratch[value] = accumulator;
        break;
      case 0x07:
        index = accumulator;
        break;
      case 0x87:
        accumulator = index;
        break;
      case 0x0c:
        accumulator = (accumulator + index) >>> 0;
        break;
      case 0x1c:
        accumulator = (accumulator - index) >>> 0;
        break;
      case 0x04:
        accumulator = (accumulator + value) >>> 0;
        break;
      case 0x44:
        accumulator = (accumulator | value) >>> 0;
        break;
      case 0x54:
        accumulator = (accumulator & value) >>> 0;
        break;
      case 0x64:
        accumulator = (accumulator << value) >>> 0;
        break;
      case 0x05:
        at += value;
        break;
      case 0x15:
        branch(accumulator === value);
        break;
      case 0x35:
        branch(accumulator >= value);
        break;
      case 0x3d:
        branch(accumulator >= index);
        break;
      case 0x06:
        return value;
      default:
        throw new Error(`instruction ${at} has the unknown code ${code}`);
    }
  }
  throw new Error('the program has no end');
}
