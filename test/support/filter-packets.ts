import { writeUint16, writeUint32 } from '../../src/packet/big-endian.js';
import { parseIpAddress, writeIpAddress } from '../../src/packet/ip-address.js';
import type { Random } from './random.js';

/*
 * Random packets for filters: everything that the language has words for, in few addresses, ports and numbers, which the expressions of
 * filter-expressions.ts name; cut off or damaged now and then.
 */

export const MACS = ['02:00:00:00:00:01', '02:00:00:00:00:02', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:fb'] as const;
export const IPV4 = ['10.0.0.1', '10.0.1.2', '192.168.1.7', '224.0.0.251', '255.255.255.255', '0.0.0.0'] as const;
export const IPV6 = ['2001:db8::1', '2001:db8:0:1::2', 'fe80::1', 'ff02::fb', '::1'] as const;
export const PORTS = [53, 80, 443, 22, 1000, 0, 65535] as const;
export const TAGS = [0, 5, 7, 4095] as const;
export const LABELS = [0, 16, 100, 0xfffff] as const;
export const SESSIONS = [1, 5, 0xffff] as const;
export const PROTOCOLS = [6, 17, 132, 1, 58, 2, 9, 50, 51, 103, 112, 44, 0] as const;

const ETHER_TYPES = [
  0x0800, 0x86dd, 0x0806, 0x8035, 0x809b, 0x80f3, 0x6003, 0x6004, 0x6007, 0x6002, 0x6001, 0x8137, 0x8863,
];

export function filterPacket(random: Random): Uint8Array {
  const writer = new Writer(random);
  writer.ethernet();
  return writer.finish();
}

class Writer {
  readonly #random: Random;
  readonly #bytes = new Uint8Array(400);
  #at = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  finish(): Uint8Array {
    const random = this.#random;
    const end = this.#at;
    const packet = this.#bytes.slice(0, random.oneIn(4) ? random.below(end + 1) : end);
    if (packet.length > 0 && random.oneIn(5)) packet[random.below(packet.length)] = random.word() >>> 11;
    return packet;
  }

  ethernet(): void {
    for (let i = 0; i < 2; i++)
      for (const byte of this.#random.pick(MACS).split(':')) this.#put(1, Number.parseInt(byte, 16));
    for (let tags = this.#random.pick([0, 0, 0, 0, 1, 1, 2, 3]); tags > 0; tags--) {
      this.#put(2, this.#random.pick([0x8100, 0x8100, 0x88a8, 0x9100]));
      this.#put(2, this.#random.pick(TAGS) | (this.#random.below(16) << 12));
    }
    const kind = this.#random.below(12);
    if (kind === 0) this.#arp();
    else if (kind === 1) this.#labels(0x8847);
    else if (kind === 2) this.#session();
    else if (kind === 3) this.#llc();
    else if (kind === 4) {
      this.#put(2, this.#random.pick(ETHER_TYPES));
      this.#rest();
    } else this.#ip(0x0800, 0x86dd);
  }

  /** One of the two, behind the number that stands for it. */
  #ip(ipv4: number, ipv6: number): void {
    const isIpv4 = this.#random.below(5) < 3;
    this.#put(2, isIpv4 ? ipv4 : ipv6);
    if (isIpv4) this.#ipv4();
    else this.#ipv6();
  }

  #arp(): void {
    this.#put(2, this.#random.pick([0x0806, 0x0806, 0x8035]));
    this.#put(4, 0x00010800);
    this.#put(4, 0x06040001);
    this.#put(4, 0x02000000);
    this.#put(2, 1);
    this.#address(this.#random.pick(IPV4));
    this.#put(4, 0x02000000);
    this.#put(2, 2);
    this.#address(this.#random.pick(IPV4));
  }

  #labels(type: number): void {
    this.#put(2, type);
    const labels = this.#random.between(1, 3);
    for (let i = 1; i <= labels; i++) {
      this.#put(4, (this.#random.pick(LABELS) << 12) | (i === labels ? 0x100 : 0) | 64);
    }
    if (this.#random.oneIn(2)) this.#ipv4();
    else this.#ipv6();
  }

  #session(): void {
    this.#put(2, 0x8864);
    this.#put(2, 0x1100);
    this.#put(2, this.#random.pick(SESSIONS));
    this.#put(2, 60);
    if (this.#random.oneIn(4)) this.#labels(0x0281);
    else if (this.#random.oneIn(5)) this.#put(2, this.#random.pick([0x29, 0x27, 0x23, 0x31, 0x2b, 0xc021]));
    else this.#ip(0x21, 0x57);
    this.#rest();
  }

  #llc(): void {
    this.#put(2, this.#random.pick([38, 100, 1500, 1501, 1535, 1536]));
    const point = this.#random.pick([0x42, 0xe0, 0xf0, 0xfe, 0xaa, 0xff, 0x06]);
    this.#put(1, point);
    this.#put(1, point);
    this.#put(1, this.#random.pick([0x03, 0x00, 0x01, 0x05, 0x63, 0xe3, 0xaf]));
    this.#put(1, this.#random.pick([0, 0x81, 0x82, 0x83]));
    this.#put(2, this.#random.pick([0x0000, 0x0007]) | (this.#random.oneIn(2) ? 0 : 0x0800));
    if (point === 0xaa && this.#random.oneIn(2)) {
      // SNAP: the organization in full.
      this.#at -= 3;
      const organization = this.#random.pick([0, 0x080007]);
      this.#put(1, organization >>> 16);
      this.#put(2, organization & 0xffff);
    }
    this.#put(2, this.#random.pick(ETHER_TYPES));
    this.#rest();
  }

  #ipv4(): void {
    const start = this.#at;
    const words = this.#random.pick([5, 5, 5, 6, 15, 4, 0]);
    this.#put(1, 0x40 | words);
    this.#put(1, this.#random.below(256));
    this.#put(2, this.#random.pick([20, 40, 100, 1500]));
    this.#put(2, this.#random.below(65536));
    this.#put(2, this.#random.pick([0, 0, 0x4000, 0x2000, 0x2001, 0x0001, 0x1fff]));
    this.#put(1, this.#random.pick([1, 5, 64, 255]));
    const protocol = this.#random.pick(PROTOCOLS);
    this.#put(1, protocol);
    this.#put(2, 0);
    this.#address(this.#random.pick(IPV4));
    this.#address(this.#random.pick(IPV4));
    this.#at = start + Math.max(20, 4 * words);
    this.#transport();
  }

  #ipv6(): void {
    this.#put(4, 0x60000000 | this.#random.below(4096));
    this.#put(2, this.#random.below(100));
    let next = this.#random.pick([6, 6, 17, 17, 132, 58, 44, 0, 60, 51, 50, 103]);
    this.#put(1, next);
    this.#put(1, this.#random.pick([1, 64, 255]));
    this.#address(this.#random.pick(IPV6));
    this.#address(this.#random.pick(IPV6));
    while (next === 44 || next === 0 || next === 60) {
      next = this.#random.pick([6, 17, 132, 58, 60]);
      this.#put(1, next);
      this.#put(1, 0);
      this.#put(2, this.#random.pick([0, 1, 8]));
      this.#put(4, 0);
    }
    this.#transport();
  }

  #transport(): void {
    this.#put(2, this.#random.pick(PORTS));
    this.#put(2, this.#random.pick(PORTS));
    for (let i = this.#random.pick([0, 4, 8]); i > 0; i--) this.#put(1, this.#random.below(256));
    this.#put(2, 0x5000 | this.#random.pick([0x02, 0x12, 0x10, 0x18, 0x01, 0x04]));
    this.#rest();
  }

  #rest(): void {
    for (let i = this.#random.below(40); i > 0; i--) this.#put(1, this.#random.below(8));
  }

  #address(text: string): void {
    const address = parseIpAddress(text)!;
    writeIpAddress(this.#bytes, this.#at, address);
    this.#at += address.version === 4 ? 4 : 16;
  }

  #put(bytes: 1 | 2 | 4, value: number): void {
    if (bytes === 1) this.#bytes[this.#at] = value;
    else if (bytes === 2) writeUint16(this.#bytes, this.#at, value & 0xffff);
    else writeUint32(this.#bytes, this.#at, value >>> 0);
    this.#at += bytes;
  }
}
