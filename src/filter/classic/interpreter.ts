import { checkClassicProgram } from './check-program.js';
import type { ClassicInstruction } from './instruction.js';
import * as op from './opcodes.js';

// Private copies: Node 20 loads exported constants anew at each use.
const BESIDE = op.SKF_AD_OFF;
const PACKET_TYPE = op.SKF_AD_OFF + op.SKF_AD_PKTTYPE;
const INTERFACE_INDEX = op.SKF_AD_OFF + op.SKF_AD_IFINDEX;
const VLAN_TAG = op.SKF_AD_OFF + op.SKF_AD_VLAN_TAG;
const VLAN_TAG_PRESENT = op.SKF_AD_OFF + op.SKF_AD_VLAN_TAG_PRESENT;
const VLAN_PROTOCOL = op.SKF_AD_OFF + op.SKF_AD_VLAN_TPID;
/** Tag protocol of IEEE 802.1Q. */
const DEFAULT_VLAN_PROTOCOL = 0x8100;

/** What Linux knows beside the packet, for programs that ask for it; what is left out is 0. */
export interface BesidePacket {
  /** The 16 bits of a VLAN tag that was taken out of the packet. */
  readonly vlanTag?: number | undefined;
  /** The tag protocol that came before them; 0x8100 unless given. */
  readonly vlanProtocol?: number;
  /** PACKET_HOST (0) to PACKET_OUTGOING (4) of linux/if_packet.h. */
  readonly packetType?: number;
  readonly interfaceIndex?: number;
}

const NOTHING_BESIDE: BesidePacket = {};

/**
 * Runs one classic BPF program over packets that lie in memory, an arena or any bytes. Running allocates nothing and never fails: a
 * load beyond the packet or a division by zero ends the program with 0, as in Linux and libpcap.
 */
export class ClassicInterpreter {
  readonly #codes: Uint16Array;
  readonly #jumpsTrue: Uint8Array;
  readonly #jumpsFalse: Uint8Array;
  readonly #values: Uint32Array;
  readonly #scratch = new Uint32Array(op.BPF_MEMWORDS);

  /** @throws PacketError FILTER_CORRUPT unless the program passes `checkClassicProgram` */
  constructor(program: readonly ClassicInstruction[]) {
    checkClassicProgram(program);
    this.#codes = Uint16Array.from(program, ({ code }) => code);
    this.#jumpsTrue = Uint8Array.from(program, ({ jumpTrue }) => jumpTrue);
    this.#jumpsFalse = Uint8Array.from(program, ({ jumpFalse }) => jumpFalse);
    this.#values = Uint32Array.from(program, ({ value }) => value);
  }

  /**
   * Runs the program over the packet of `length` bytes that begins at `bytes[offset]`.
   *
   * @param wireLength bytes that the packet had on the wire, where memory holds less
   * @returns what the program returns: bytes of the packet to keep, 0 for none
   */
  run(
    bytes: Uint8Array,
    offset: number,
    length: number,
    wireLength = length,
    beside: BesidePacket = NOTHING_BESIDE,
  ): number {
    const codes = this.#codes;
    const values = this.#values;
    const scratch = this.#scratch;
    // Unsigned 32 bits, both. Places in the packet are sums modulo 2^32, so that ip[-2:2] is the ether type.
    let accumulator = 0;
    let index = 0;
    for (let at = 0; ; at++) {
      const value = values[at]!;
      switch (codes[at]!) {
        case 0x20: // ld [k]
          if (value + 4 > length) {
            if (value < BESIDE) return 0;
            accumulator = besideValue(value, beside);
            break;
          }
          accumulator = word(bytes, offset + value);
          break;
        case 0x28: // ldh [k]
          if (value + 2 > length) {
            if (value < BESIDE) return 0;
            accumulator = besideValue(value, beside);
            break;
          }
          accumulator = (bytes[offset + value]! << 8) | bytes[offset + value + 1]!;
          break;
        case 0x30: // ldb [k]
          if (value >= length) {
            if (value < BESIDE) return 0;
            accumulator = besideValue(value, beside);
            break;
          }
          accumulator = bytes[offset + value]!;
          break;
        case 0x40: {
          // ld [x + k]
          const place = (index + value) >>> 0;
          if (place + 4 > length) return 0;
          accumulator = word(bytes, offset + place);
          break;
        }
        case 0x48: {
          // ldh [x + k]
          const place = (index + value) >>> 0;
          if (place + 2 > length) return 0;
          accumulator = (bytes[offset + place]! << 8) | bytes[offset + place + 1]!;
          break;
        }
        case 0x50: {
          // ldb [x + k]
          const place = (index + value) >>> 0;
          if (place >= length) return 0;
          accumulator = bytes[offset + place]!;
          break;
        }
        case 0xb1: // ldxb 4*([k]&0xf)
          if (value >= length) return 0;
          index = (bytes[offset + value]! & 0x0f) << 2;
          break;
        case 0x00: // ld #k
          accumulator = value;
          break;
        case 0x01: // ldx #k
          index = value;
          break;
        case 0x80: // ld #pktlen
          accumulator = wireLength;
          break;
        case 0x81: // ldx #pktlen
          index = wireLength;
          break;
        case 0x60: // ld M[k]
          accumulator = scratch[value]!;
          break;
        case 0x61: // ldx M[k]
          index = scratch[value]!;
          break;
        case 0x02: // st M[k]
          scratch[value] = accumulator;
          break;
        case 0x03: // stx M[k]
          scratch[value] = index;
          break;
        case 0x05: // ja
          at += value;
          break;
        case 0x15: // jeq #k
          at += accumulator === value ? this.#jumpsTrue[at]! : this.#jumpsFalse[at]!;
          break;
        case 0x25: // jgt #k
          at += accumulator > value ? this.#jumpsTrue[at]! : this.#jumpsFalse[at]!;
          break;
        case 0x35: // jge #k
          at += accumulator >= value ? this.#jumpsTrue[at]! : this.#jumpsFalse[at]!;
          break;
        case 0x45: // jset #k
          at += (accumulator & value) !== 0 ? this.#jumpsTrue[at]! : this.#jumpsFalse[at]!;
          break;
        case 0x1d: // jeq x
          at += accumulator === index ? this.#jumpsTrue[at]! : this.#jumpsFalse[at]!;
          break;
        case 0x2d: // jgt x
          at += accumulator > index ? this.#jumpsTrue[at]! : this.#jumpsFalse[at]!;
          break;
        case 0x3d: // jge x
          at += accumulator >= index ? this.#jumpsTrue[at]! : this.#jumpsFalse[at]!;
          break;
        case 0x4d: // jset x
          at += (accumulator & index) !== 0 ? this.#jumpsTrue[at]! : this.#jumpsFalse[at]!;
          break;
        case 0x07: // tax
          index = accumulator;
          break;
        case 0x87: // txa
          accumulator = index;
          break;
        case 0x84: // neg
          accumulator = -accumulator >>> 0;
          break;
        case 0x06: // ret #k
          return value;
        case 0x16: // ret a
          return accumulator;
        default: {
          // What is left is arithmetic with k or x.
          const operand = (codes[at]! & 0x08) === 0 ? value : index;
          if (operand === 0 && isDivision(codes[at]!)) return 0;
          accumulator = calculate(codes[at]! & 0xf0, accumulator, operand);
        }
      }
    }
  }
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function isDivision(code: number): boolean {
  return (code & 0xf0) === 0x30 || (code & 0xf0) === 0x90;
}

/** Arithmetic modulo 2^32 with an operand that is not 0 for divisions. Shifts by more than 31 bits leave nothing. */
function calculate(operation: number, left: number, right: number): number {
  switch (operation) {
    case 0x00:
      return (left + right) >>> 0;
    case 0x10:
      return (left - right) >>> 0;
    case 0x20:
      return Math.imul(left, right) >>> 0;
    case 0x30:
      return Math.floor(left / right);
    case 0x40:
      return (left | right) >>> 0;
    case 0x50:
      return (left & right) >>> 0;
    case 0x60:
      return right > 31 ? 0 : (left << right) >>> 0;
    case 0x70:
      return right > 31 ? 0 : left >>> right;
    case 0x90:
      return left % right;
    default:
      return (left ^ right) >>> 0;
  }
}

function besideValue(at: number, beside: BesidePacket): number {
  switch (at) {
    case VLAN_TAG:
      return beside.vlanTag ?? 0;
    case VLAN_TAG_PRESENT:
      return beside.vlanTag === undefined ? 0 : 1;
    case VLAN_PROTOCOL:
      return beside.vlanTag === undefined ? 0 : (beside.vlanProtocol ?? DEFAULT_VLAN_PROTOCOL);
    case PACKET_TYPE:
      return beside.packetType ?? 0;
    case INTERFACE_INDEX:
      return beside.interfaceIndex ?? 0;
    default:
      return 0;
  }
}
