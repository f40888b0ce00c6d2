import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.js';
import { PacketError } from '../../errors.js';
import { EAGAIN, EPERM } from '../constants.js';
import { Struct } from '../struct.js';
import type { SystemCalls } from '../system-calls.js';
import { Attributes, u32, zeroTerminated } from './attributes.js';
import { readLink } from './link.js';
import { composeMessage, parseMessages } from './message.js';
import { readXdpFeatures } from './netdev-family.js';
import { listXdpSockets } from './xdp-sockets.js';

// Recorded from Linux 6.18: what the kernel answers for the family `netdev`, for a veth's dev-get, for a link with an XDP program
// (shortened to the attributes used here), and for an index that no interface has.
const FAMILY =
  '4000000010000000010000000100000001020000' +
  '0b0002006e657464657600000600010014000000080003000100000008000400000000000800050000000000';
const ACKNOWLEDGED = '240000000200000101000000010000000000000020000000100005000100000001000000';
const VETH =
  '400000001400000002000000010000000101000008000100030000000c00030023000000000000000c00050007000000000000000c0006000000000000000000';
const VETH_ACKNOWLEDGED = ACKNOWLEDGED.replace('0000010100', '0000010200');
const LINK_HEAD = '00000100030000004310010000000000';
const LINK_ATTRIBUTES =
  '08001e0000000000050021000100000008000500020000000d0012000900010076657468000000001c002b000500020001000000080004002a000000080005002a000000';
const NO_DEVICE =
  '34000000020000000100000001000000edffffff2000000012000500010000000000000000000000630000000000000000000000';

/** A kernel that answers with these datagrams. */
function answering(...datagrams: (string | Uint8Array | number)[]): SystemCalls & { readonly closed: number[] } {
  const queue = [...datagrams];
  const closed: number[] = [];
  const calls = {
    closed,
    socket: () => 7,
    close: (descriptor: number) => closed.push(descriptor),
    send: (_: number, message: Struct) => message.length,
    poll: () => 0,
    receive(_: number, into: Struct) {
      const next = queue.shift();
      if (next === undefined) return -EAGAIN;
      if (typeof next === 'number') return next;
      const bytes = typeof next === 'string' ? Buffer.from(next, 'hex') : next;
      into.bytes.set(bytes.subarray(0, into.length));
      return bytes.length;
    },
  };
  return calls as unknown as SystemCalls & { closed: number[] };
}

/** A datagram with one message. */
function message(type: number, sequence: number, payload: Uint8Array): Uint8Array {
  return composeMessage({ type, flags: 0, sequence }, payload, []).bytes;
}

test("a veth's XDP features", () => {
  const calls = answering(FAMILY, ACKNOWLEDGED, VETH, VETH_ACKNOWLEDGED);
  assert.deepEqual(readXdpFeatures(calls, 3), {
    known: true,
    value: {
      native: true,
      redirect: true,
      transmitRedirected: false,
      zeroCopy: false,
      hardwareOffload: false,
      receiveSegments: true,
      transmitRedirectedSegments: false,
      receiveMetadata: ['timestamp', 'hash', 'vlan-tag'],
      transmitMetadata: [],
    },
  });
  assert.deepEqual(calls.closed, [7]);
});

test('a device with zero-copy of several segments', () => {
  const attributes = composeMessage({ type: 20, flags: 0, sequence: 2 }, Uint8Array.of(1, 1, 0, 0), [
    [1, u32(4)],
    [3, Uint8Array.of(0x7f, 0, 0, 0, 0, 0, 0, 0)],
    [4, u32(8)],
    [6, Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0)],
  ]).bytes;
  const features = readXdpFeatures(answering(FAMILY, ACKNOWLEDGED, attributes, VETH_ACKNOWLEDGED), 4);
  assert.ok(features.known);
  const { zeroCopy, zeroCopySegments, transmitMetadata, receiveMetadata, hardwareOffload } = features.value;
  assert.deepEqual([zeroCopy, zeroCopySegments, hardwareOffload], [true, 8, true]);
  assert.deepEqual([receiveMetadata, transmitMetadata], [[], ['timestamp', 'checksum']]);
});

test('a kernel without the family does not know, which is not a no', () => {
  const none = message(2, 1, Uint8Array.of(0xfe, 0xff, 0xff, 0xff)); // -ENOENT
  const features = readXdpFeatures(answering(none), 3);
  assert.deepEqual(features, {
    known: false,
    why: 'this kernel does not describe XDP features (Linux does from 6.3)',
  });
});

test('a link with a native program', () => {
  const payload = Buffer.from(LINK_HEAD + LINK_ATTRIBUTES, 'hex');
  const link = readLink(answering(message(16, 1, payload), ACKNOWLEDGED), 3);
  assert.deepEqual(link, {
    known: true,
    value: {
      promiscuity: 0,
      carrier: true,
      kind: 'veth',
      peer: 2,
      peerElsewhere: false,
      programs: [{ id: 42, mode: 'native' }],
    },
  });
});

test('refusals, silence and damage are not known, with the reason', () => {
  const calls = answering(NO_DEVICE);
  assert.deepEqual(readLink(calls, 99), {
    known: false,
    why: 'rtnetlink getlink: netlink failed with ENODEV (no such device)',
  });
  assert.deepEqual(calls.closed, [7]);
  const reason = (...datagrams: (string | number)[]): string => {
    const link = readLink(answering(...datagrams), 3);
    return link.known ? 'known' : link.why;
  };
  assert.match(reason(), /does not answer/);
  assert.match(reason(-EPERM), /EPERM/);
  assert.match(reason(70_000), /datagram of 70000 bytes/);
  assert.match(reason('0000'), /2 bytes where a message should begin/);
  assert.match(reason('ff00000010000000010000000100000000000000'), /message of 255 bytes/);
  assert.match(reason(ACKNOWLEDGED), /without a link/);
  const noSockets = { socket: () => -EPERM } as unknown as SystemCalls;
  assert.equal(readLink(noSockets, 3).known, false);
});

test('answers to other questions are passed over', () => {
  const payload = Buffer.from(LINK_HEAD + LINK_ATTRIBUTES, 'hex');
  const late = message(16, 99, payload.subarray(0, 4)); // too short for a link: must not even be looked at
  assert.equal(readLink(answering(late, message(16, 1, payload), ACKNOWLEDGED), 3).known, true);
});

test('AF_XDP sockets with interface, queue and inode; those that are not bound are left out', () => {
  const bound = composeMessage({ type: 20, flags: 2, sequence: 1 }, new Struct(16).u16(0, 44).u32(4, 5151).bytes, [
    [1, new Struct(8).u32(0, 3).u32(4, 2).bytes],
  ]).bytes;
  const free = composeMessage({ type: 20, flags: 2, sequence: 1 }, new Struct(16).u32(4, 6).bytes, []).bytes;
  const done = message(3, 1, new Uint8Array(4));
  assert.deepEqual(listXdpSockets(answering(bound, free, done)), {
    known: true,
    value: [{ inode: 5151, index: 3, queue: 2 }],
  });
  const none = message(2, 1, Uint8Array.of(0xfe, 0xff, 0xff, 0xff));
  const unlisted = listXdpSockets(answering(none));
  assert.match(unlisted.known ? '' : unlisted.why, /CONFIG_XDP_SOCKETS_DIAG/);
});

test('what is composed is parsed as it was', () => {
  const bytes = composeMessage({ type: 18, flags: 5, sequence: 9 }, Uint8Array.of(1, 2, 3, 4), [
    [2, zeroTerminated('netdev')],
    [7, u32(0xfffffffe)],
  ]).bytes;
  const [parsed, ...more] = parseMessages(bytes);
  assert.equal(more.length, 0);
  assert.deepEqual([parsed!.type, parsed!.flags, parsed!.sequence], [18, 5, 9]);
  const attributes = new Attributes(parsed!.payload.subarray(4));
  assert.equal(attributes.text(2), 'netdev');
  assert.equal(attributes.u32(7), 0xfffffffe);
  assert.equal(attributes.u32(2), undefined); // another length
  assert.equal(attributes.u8(9), undefined); // not there
});

test('random and mutilated answers never lead out of the datagram, and end', () => {
  const random = new Random(20260);
  const recorded = [FAMILY, VETH, NO_DEVICE, ACKNOWLEDGED].map((hex) => Buffer.from(hex, 'hex'));
  let damagedOnes = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = random.oneIn(2) ? new Uint8Array(random.below(200)) : Uint8Array.from(random.pick(recorded));
    if (bytes.length > 0 && random.oneIn(2)) random.fill(bytes, 0, bytes.length);
    else
      for (let i = random.below(4); i >= 0 && bytes.length > 0; i--) bytes[random.below(bytes.length)] = random.word();
    const answer = bytes.subarray(0, random.between(0, bytes.length));
    const again = `seed ${random.seed}, round ${round}`;
    try {
      for (const { payload } of parseMessages(answer)) {
        assert.ok(payload.byteOffset + payload.length <= answer.byteOffset + answer.length, again);
        const attributes = new Attributes(payload);
        for (let type = 0; type < 64; type++) {
          const value = attributes.bytes(type);
          if (value !== undefined)
            assert.ok(value.byteOffset + value.length <= answer.byteOffset + answer.length, again);
        }
      }
    } catch (error) {
      assert.ok(error instanceof PacketError && error.code === 'SYSTEM_CALL', `${again}: ${error}`);
      damagedOnes++;
    }
    // And all the way: whatever comes, the answer is a fact or a reason.
    for (const read of [readXdpFeatures, readLink])
      assert.equal(typeof read(answering(answer, answer), 3).known, 'boolean');
    assert.equal(typeof listXdpSockets(answering(answer)).known, 'boolean');
  }
  assert.ok(damagedOnes > 1000, `only ${damagedOnes} of them were damaged`);
});
