import { PacketError } from '../errors.js';
import type { FlowRule, RuleTarget, SteeredPackets } from './rules.js';

/** What a device does with packets that a rule matches: to a queue, nowhere, or where they would go without a rule. */
export type SteerAction = 'receive' | 'drop' | 'spread';

/** What whoever receives can do with packets beside receiving them. */
export interface TargetAbility {
  /** Begins the message: "a V3 socket". */
  readonly who: string;
  /** Absent when it can, else why not, and what to do instead. */
  readonly noDrop?: readonly [why: string, remedy: string];
  readonly noQueue?: readonly [why: string, remedy: string];
}

/** Sockets that hear copies: what they drop themselves goes to the stack all the same. */
export const TAP_ABILITY = {
  noDrop: [
    'it hears copies, and cannot keep packets from the stack',
    "use an AF_XDP mode, or to: 'stack', to receive all but these",
  ],
  noQueue: ['it hears copies, whatever queue they come by', 'use an AF_XDP mode'],
} as const satisfies Omit<TargetAbility, 'who'>;

/** @throws PacketError RULES_UNSUPPORTED for the first rule whose target is out of reach */
export function checkTargets(receive: SteeredPackets, { who, noDrop, noQueue }: TargetAbility): void {
  if (typeof receive === 'string' || !Array.isArray(receive)) return;
  for (const [index, { to }] of (receive as readonly FlowRule[]).entries()) {
    const reason = to === 'drop' ? noDrop : typeof to === 'object' ? noQueue : undefined;
    if (reason === undefined) continue;
    throw new PacketError('RULES_UNSUPPORTED', `receive[${index}].to: ${who} cannot ${act(to!)}: ${reason[0]}`, {
      remedy: reason[1],
    });
  }
}

function act(to: RuleTarget): string {
  return typeof to === 'object' ? `send packets to queue ${to.queue}` : 'drop packets';
}

/** Whether rules of a list send packets elsewhere than to its socket. */
export function hasOtherTargets(receive: SteeredPackets): receive is readonly FlowRule[] {
  return Array.isArray(receive) && (receive as readonly FlowRule[]).some(({ to = 'socket' }) => to !== 'socket');
}
