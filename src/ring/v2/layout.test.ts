import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PACKET_CHECKSUM_NOT_READY, PacketBatch } from '../packet-batch.js';
import * as v3 from '../v3/layout.js';
import * as v2 from './layout.js';
import { packetOf, RingPair } from './ring-pair.test-support.js';

const TAGGED = new Uint8Array([
  ...[1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xa8, 0xe0, 0x01, 0x86, 0xdd],
  ...new Uint8Array(46).fill(9),
]);

/** Slot `slot` of the receive ring as a DataView. */
function slotOf(pair: RingPair, slot: number): DataView {
  const { base, entryBytes } = pair.maps.receive!;
  return new DataView(pair.arena.u8.buffer, base + slot * entryBytes, entryBytes);
}

describe('the memory layout of TPACKET_V2', () => {
  test('has the sizes and offsets of linux/if_packet.h and net/packet/af_packet.c', () => {
    assert.deepEqual([v2.HEADER_BYTES, v2.TPACKET2_HDRLEN, v2.MAC_OFFSET, v2.NET_OFFSET], [32, 52, 66, 80]);
    assert.deepEqual([v3.HEADER_BYTES, v3.TPACKET3_HDRLEN, v3.MAC_OFFSET, v3.NET_OFFSET], [48, 68, 82, 96]);
    assert.deepEqual([v2.V2_TRANSMIT.dataOffset, v3.V3_TRANSMIT.dataOffset], [32, 48]);
  });

  test('a delivered packet has header, link address and data where Linux puts them', () => {
    const pair = new RingPair({ version: 'v2' });
    pair.kernel.interfaceIndex = 7;
    pair.deliver([packetOf(1, 100)]);
    const slot = slotOf(pair, 0);
    assert.equal(slot.getUint32(0, true), 1, 'tp_status: user');
    assert.equal(slot.getUint32(4, true), 100, 'tp_len');
    assert.equal(slot.getUint32(8, true), 100, 'tp_snaplen');
    assert.equal(slot.getUint16(12, true), 66, 'tp_mac');
    assert.equal(slot.getUint16(14, true), 80, 'tp_net');
    assert.equal(slot.getUint32(16, true), pair.time.seconds, 'tp_sec');
    assert.equal(slot.getUint32(20, true), pair.time.nanoseconds, 'tp_nsec');
    assert.equal(slot.getUint32(24, true), 0, 'tp_vlan_tci, tp_vlan_tpid');
    assert.equal(slot.getUint16(32, true), 17, 'sll_family');
    assert.equal(slot.getUint16(34), 0x0800, 'sll_protocol, in network order');
    assert.equal(slot.getInt32(36, true), 7, 'sll_ifindex');
    assert.equal(slot.getUint16(40, true), 1, 'sll_hatype');
    assert.equal(slot.getUint8(42), 0, 'sll_pkttype: host');
    assert.equal(slot.getUint8(43), 6, 'sll_halen');
    assert.deepEqual([...pair.arena.u8.slice(slot.byteOffset + 44, slot.byteOffset + 52)], [2, 0, 0, 0, 0, 2, 0, 0]);
    assert.deepEqual(pair.arena.u8.slice(slot.byteOffset + 66, slot.byteOffset + 166), packetOf(1, 100));
  });

  test('the link address tells broadcast from multicast, and IEEE 802.3 lengths from protocols', () => {
    const pair = new RingPair({ version: 'v2' });
    const broadcast = packetOf(1).fill(0xff, 0, 6);
    const multicast = packetOf(2).fill(1, 0, 6);
    multicast.set([0, 50], 12);
    pair.deliver([broadcast, multicast]);
    assert.equal(slotOf(pair, 0).getUint8(42), 1);
    assert.equal(slotOf(pair, 1).getUint8(42), 2);
    assert.equal(slotOf(pair, 1).getUint16(34), 4, 'ETH_P_802_2');
  });

  test('a VLAN tag is moved into the header', () => {
    const pair = new RingPair({ version: 'v2' });
    pair.deliver([TAGGED]);
    const slot = slotOf(pair, 0);
    assert.equal(slot.getUint32(0, true), 1 | (1 << 4) | (1 << 6), 'user, VLAN_VALID, VLAN_TPID_VALID');
    assert.equal(slot.getUint32(4, true), TAGGED.length - 4);
    assert.equal(slot.getUint16(24, true), 0xe001, 'tp_vlan_tci');
    assert.equal(slot.getUint16(26, true), 0x88a8, 'tp_vlan_tpid');
    assert.equal(slot.getUint16(34), 0x86dd, 'sll_protocol is that of the payload');
    const mac = slot.getUint16(12, true);
    assert.deepEqual(
      [...pair.arena.u8.slice(slot.byteOffset + mac, slot.byteOffset + mac + 12)],
      [...TAGGED.slice(0, 12)],
    );
    assert.equal(slot.getUint16(mac + 12), 0x86dd);
    assert.equal(slot.getUint16(14, true), mac + 14);
  });

  test('headroom lies between link address and packet, rounded up to 16; tags come out and go back behind it', () => {
    const pair = new RingPair({ version: 'v2', headroom: 100 });
    pair.deliver([packetOf(1, 100), TAGGED]);
    assert.deepEqual([slotOf(pair, 0).getUint16(12, true), slotOf(pair, 0).getUint16(14, true)], [66 + 112, 80 + 112]);
    assert.deepEqual([slotOf(pair, 1).getUint16(12, true), slotOf(pair, 1).getUint16(14, true)], [70 + 112, 84 + 112]);
    const batch = new PacketBatch(2);
    assert.equal(pair.user.receive(batch), 2);
    const headers = [0, 1].map((slot) => pair.arena.u8.slice(slotOf(pair, slot).byteOffset).slice(0, 52));
    for (let i = 0; i < 2; i++) {
      assert.equal(batch.offset[i], slotOf(pair, i).byteOffset + 66 + 112);
      pair.arena.u8.fill(0xee, batch.offset[i]! - 112, batch.offset[i]!);
    }
    assert.deepEqual([pair.bytes(batch, 0), pair.bytes(batch, 1)], [packetOf(1, 100), TAGGED]);
    const after = [0, 1].map((slot) => pair.arena.u8.slice(slotOf(pair, slot).byteOffset).slice(0, 52));
    assert.deepEqual(after, headers);
  });

  test('headroom leaves less room for the packet', () => {
    const pair = new RingPair({ version: 'v2', frameSize: 256, headroom: 64 });
    pair.deliver([packetOf(1, 150)]);
    const slot = slotOf(pair, 0);
    assert.deepEqual([slot.getUint32(4, true), slot.getUint32(8, true)], [150, 256 - 66 - 64]);
  });

  test('a packet longer than a slot is cut; tp_len keeps its length', () => {
    const pair = new RingPair({ version: 'v2', frameSize: 256 });
    const parts = [packetOf(3, 150), packetOf(4, 100)];
    pair.deliver([packetOf(1, 191), parts, packetOf(2, 60)]);
    const slot = slotOf(pair, 1);
    assert.equal(slot.getUint32(4, true), 250);
    assert.equal(slot.getUint32(8, true), 190);
    const batch = new PacketBatch(4);
    assert.equal(pair.user.receive(batch), 3);
    assert.deepEqual([...batch.size.slice(0, 3)], [190, 190, 60]);
    assert.deepEqual(pair.bytes(batch, 0), packetOf(1, 191).slice(0, 190));
    assert.deepEqual(pair.bytes(batch, 1), new Uint8Array([...parts[0]!, ...parts[1]!]).slice(0, 190));
    assert.deepEqual(pair.bytes(batch, 2), packetOf(2, 60));
  });

  test('TP_STATUS_LOSING is on the first packet after a loss', () => {
    const pair = new RingPair({ version: 'v2', receive: 4 });
    const batch = new PacketBatch(1);
    for (let i = 0; i < 6; i++) pair.deliver([packetOf(i)]);
    assert.equal(pair.kernel.counters.receiveRingFull, 2);
    for (let i = 0; i < 2; i++) {
      assert.equal(pair.user.receive(batch), 1);
      pair.user.release(batch);
    }
    pair.deliver([packetOf(6), packetOf(7)]);
    assert.equal(slotOf(pair, 0).getUint32(0, true), 1 | (1 << 2));
    assert.equal(slotOf(pair, 1).getUint32(0, true), 1);
    while (pair.user.receive(batch) > 0) pair.user.release(batch);
    assert.equal(pair.user.counters.received, 6);
  });

  test('what Linux writes is read: slot by slot, with time stamp bits, with a tag whose TPID it does not give', () => {
    const pair = new RingPair({ version: 'v2' });
    const batch = new PacketBatch(4);
    const bare = [...packetOf(1, 60)];
    const write = (slot: number, status: number, tci: number): void => {
      const view = slotOf(pair, slot);
      pair.arena.u8.set(bare, view.byteOffset + 66);
      for (const at of [4, 8]) view.setUint32(at, bare.length, true);
      view.setUint16(12, 66, true);
      view.setUint16(14, 80, true);
      view.setUint32(16, 4_000_000_000, true);
      view.setUint32(20, 5, true);
      view.setUint16(24, tci, true);
      view.setUint32(28, 0, true);
      view.setUint32(0, status, true);
    };
    write(0, 0x8000_0000 | 1 | (1 << 3), 0); // hardware time, checksum not ready
    write(1, 0x2000_0000 | 1 | (1 << 4) | (1 << 1), 0x2fff); // software time, VLAN, COPY
    assert.equal(pair.user.receive(batch), 2);
    assert.equal(batch.seconds[0], 4_000_000_000);
    assert.equal(batch.nanoseconds[0], 5);
    assert.deepEqual([batch.flags[0], batch.flags[1]], [PACKET_CHECKSUM_NOT_READY, 0]);
    assert.deepEqual([...pair.bytes(batch, 0)], bare);
    assert.deepEqual([...pair.bytes(batch, 1)], [...bare.slice(0, 12), 0x81, 0x00, 0x2f, 0xff, ...bare.slice(12)]);
    pair.user.release(batch);
    assert.equal(slotOf(pair, 0).getUint32(0, true), 0);
    assert.equal(slotOf(pair, 1).getUint32(0, true), 0);
    write(2, 1, 0);
    assert.equal(pair.user.receive(batch), 1);
    assert.equal(batch.flags[0], 0);
  });
});
