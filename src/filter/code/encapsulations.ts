import * as op from '../classic/opcodes.js';
import type { Span } from '../language/filter-error.js';
import type { EncapsulationPrimitive, LlcPrimitive, OriginPrimitive } from '../language/syntax.js';
import type { Compilation } from './compilation.js';
import { all, any, type Condition, compare, not } from './condition.js';
import { ETHERTYPE_MPLS, ETHERTYPE_PPPOE_DISCOVERY, ETHERTYPE_PPPOE_SESSION, ETHERTYPES_VLAN } from './layers.js';

const VLAN_TAG_BYTES = 4;
const VLAN_NUMBER_MASK = 0x0fff;
const MPLS_LABEL_BYTES = 4;
const MPLS_LABEL_SHIFT = 12;
const MPLS_LABEL_MASK = 0xfffff000;
/** Header of PPPoE, in front of PPP's (RFC 2516). */
const PPPOE_HEADER_BYTES = 6;
const PPPOE_SESSION_MASK = 0xffff;
const PPP_PROTOCOL_BYTES = 2;
/** What Linux calls packets that leave (PACKET_OUTGOING in linux/if_packet.h), and where cooked captures say it. */
const PACKET_OUTGOING = 4;
/** Not LLC: IPX right behind the length. */
const BARE_IPX = 0xffff;
const LLC_CONTROL = 2;

/** A tag, label or session; moves the layers behind it. */
export function encapsulationCondition(
  compilation: Compilation,
  primitive: EncapsulationPrimitive,
  span: Span,
): Condition {
  switch (primitive.kind) {
    case 'vlan':
      return vlanCondition(compilation, primitive.number, span);
    case 'mpls':
      return mplsCondition(compilation, primitive.number, span);
    case 'pppoes':
      return sessionCondition(compilation, primitive.number, span);
    case 'pppoed':
      return compilation.carries(ETHERTYPE_PPPOE_DISCOVERY, span);
  }
}

function vlanCondition(compilation: Compilation, number: number | undefined, span: Span): Condition {
  const { layers, values } = compilation;
  if (layers.labels > 0) throw compilation.refusal(span, 'no VLAN tag comes behind labels of MPLS', 'write vlan first');
  if (layers.link !== 'ethernet') {
    throw compilation.refusal(span, `packets with ${layers.name} have no VLAN tags`, 'leave it out');
  }
  const type = layers.load(2, layers.typeAt);
  const isTagged = any(...ETHERTYPES_VLAN.map((protocol) => layers.equal(type, protocol)));
  const tag = layers.load(2, layers.payloadAt);
  layers.typeAt += VLAN_TAG_BYTES;
  layers.payloadAt += VLAN_TAG_BYTES;
  if (number === undefined) return isTagged;
  return all(isTagged, layers.equal(values.calculate(op.BPF_AND, tag, values.constant(VLAN_NUMBER_MASK)), number));
}

function mplsCondition(compilation: Compilation, number: number | undefined, span: Span): Condition {
  const { layers, values } = compilation;
  if (layers.link !== 'ethernet' && layers.link !== 'ppp') {
    throw compilation.refusal(span, `no MPLS is looked for in packets with ${layers.name}`, 'leave it out');
  }
  const isLabelled = layers.labels > 0 ? not(layers.bottomOfStack()) : compilation.carries(ETHERTYPE_MPLS, span);
  const label = layers.load(4, layers.payloadAt);
  layers.payloadAt += MPLS_LABEL_BYTES;
  layers.labels++;
  if (number === undefined) return isLabelled;
  const wanted = (number << MPLS_LABEL_SHIFT) >>> 0;
  return all(isLabelled, layers.equal(values.calculate(op.BPF_AND, label, values.constant(MPLS_LABEL_MASK)), wanted));
}

function sessionCondition(compilation: Compilation, number: number | undefined, span: Span): Condition {
  const { layers, values } = compilation;
  const isSession = compilation.carries(ETHERTYPE_PPPOE_SESSION, span);
  const first = layers.load(4, layers.payloadAt);
  layers.link = 'ppp';
  layers.linkAt = layers.payloadAt + PPPOE_HEADER_BYTES;
  layers.typeAt = layers.linkAt;
  layers.payloadAt = layers.linkAt + PPP_PROTOCOL_BYTES;
  if (number === undefined) return isSession;
  return all(isSession, layers.equal(values.calculate(op.BPF_AND, first, values.constant(PPPOE_SESSION_MASK)), number));
}

/** A frame with a length in the place of its type, and LLC's header behind it (IEEE 802.2); of a kind, where one is asked for. */
export function llcCondition(compilation: Compilation, { control }: LlcPrimitive, span: Span): Condition {
  const { layers, values } = compilation;
  if (layers.link !== 'ethernet') {
    throw compilation.refusal(span, `llc goes with Ethernet, not with ${layers.name}`, 'leave it out');
  }
  // Labels of MPLS do not move it.
  const at = layers.payloadAt - MPLS_LABEL_BYTES * layers.labels;
  const isLlc = all(layers.hasLength(), not(layers.equal(layers.load(2, at), BARE_IPX)));
  if (control === undefined) return isLlc;
  const field = layers.load(1, at + LLC_CONTROL);
  return all(isLlc, layers.equal(values.calculate(op.BPF_AND, field, values.constant(control.mask)), control.value));
}

/** Whose packet it was, which cooked captures have in the packet and Linux beside it. */
export function originCondition({ layers, values }: Compilation, { kind, number }: OriginPrimitive): Condition {
  if (kind === 'interface-index') return layers.equal(values.beside(op.SKF_AD_IFINDEX, 4), number!);
  const type =
    layers.link === 'linux-cooked'
      ? layers.load(2, 0)
      : layers.link === 'linux-cooked-2'
        ? layers.load(1, 10)
        : values.beside(op.SKF_AD_PKTTYPE, 2);
  const isOutgoing = compare(values, 'equal', type, values.constant(PACKET_OUTGOING));
  return kind === 'outbound' ? isOutgoing : not(isOutgoing);
}
