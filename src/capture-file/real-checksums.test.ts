import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readUint16 } from '../packet/big-endian.js';
import { addToChecksum, finishChecksum, internetChecksum } from '../packet/checksum.js';
import { ETHERNET_HEADER_BYTES } from '../packet/ethernet.js';
import {
  createFlowKey,
  FLOW_FRAGMENT,
  FLOW_NETWORK,
  FLOW_PROTOCOL_MASK,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  parseFlowKey,
} from '../packet/flow-key.js';
import { IPV4_HEADER_BYTES, sumIpv4PseudoHeader } from '../packet/ipv4.js';
import { IPV6_HEADER_BYTES, sumIpv6PseudoHeader } from '../packet/ipv6.js';
import { openCapture } from './open-capture.js';

// Tests run from the project's folder.
const capture = openCapture(readFileSync('captures/veth-mixed.pcap'));

test('every checksum of the capture that ships with the project is correct by our reckoning', () => {
  const { bytes, packet } = capture;
  const key = createFlowKey();
  const counts = { header: 0, tcp4: 0, tcp6: 0, udp4: 0, udp6: 0 };
  while (capture.next()) {
    const version = parseFlowKey(bytes, packet.offset, packet.length, key);
    const network = packet.offset + ETHERNET_HEADER_BYTES;
    if (version === 4) {
      assert.equal(internetChecksum(bytes, network, IPV4_HEADER_BYTES), 0);
      counts.header++;
    }
    const protocol = key[FLOW_NETWORK]! & FLOW_PROTOCOL_MASK;
    if ((protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) || (key[FLOW_NETWORK]! & FLOW_FRAGMENT) !== 0)
      continue;
    // The IP header tells the length: short packets are padded. None of these has options or extension headers.
    const length = version === 4 ? readUint16(bytes, network + 2) - IPV4_HEADER_BYTES : readUint16(bytes, network + 4);
    const transport = network + (version === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);
    const sumPseudoHeader = version === 4 ? sumIpv4PseudoHeader : sumIpv6PseudoHeader;
    const sum = addToChecksum(sumPseudoHeader(bytes, network, protocol, length), bytes, transport, length);
    assert.equal(finishChecksum(sum), 0);
    counts[`${protocol === PROTOCOL_TCP ? 'tcp' : 'udp'}${version as 4 | 6}`]++;
  }
  assert.ok(
    Object.values(counts).every((count) => count > 200),
    JSON.stringify(counts),
  );
});
