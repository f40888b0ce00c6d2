import { PacketError } from '../../errors.js';
import type { FlowRule, RuleTarget } from '../../steering/rules.js';

const COMMAND = 'tp4 steer';

/** What is wrong with a command line. */
export function usage(message: string): PacketError {
  return new PacketError('INVALID_OPTION', `${COMMAND}: ${message}`, {
    remedy: 'for example tp4 steer explain protocol=udp,port=53 to=drop; tp4 steer --help',
  });
}

/** Rules as they stand on the command line: fields with values, or JSON. @throws PacketError INVALID_OPTION */
export function readRules(text: string): FlowRule[] {
  if (!/^\s*[[{]/.test(text)) return [readFields(text)];
  try {
    const value: unknown = JSON.parse(text);
    return (Array.isArray(value) ? value : [value]) as FlowRule[];
  } catch (cause) {
    throw usage(`${text}: ${(cause as Error).message}`);
  }
}

/** What the fields may be is for the rules to say. */
function readFields(text: string): FlowRule {
  const rule: Record<string, unknown> = {};
  for (const part of text.split(',')) {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(part) ?? [];
    if (name === undefined || value === undefined) throw usage(`"${part}" is not a field with its value`);
    if (Object.hasOwn(rule, name)) throw usage(`${name} is there twice in ${text}`);
    rule[name] = readValue(name, value);
  }
  return rule;
}

function readValue(name: string, value: string): unknown {
  const [, first, sign, second] = /^(\d+)([-/])(\d+)$/.exec(value) ?? [];
  if (/port$/i.test(name) && sign === '-') return [Number(first), Number(second)];
  if (name === 'bucket' && sign === '/') return [Number(first), Number(second)];
  if (name === 'to' && /^queue:\d+$/.test(value)) return { queue: Number(value.slice(6)) };
  return /^(\d+|0x[\da-f]+)$/i.test(value) ? Number(value) : value;
}

/** The fields of a rule, but where it sends packets. */
export function showRule({ to: _to, ...match }: FlowRule): string {
  const fields = Object.entries(match).map(([name, value]) => {
    return `${name}=${Array.isArray(value) ? value.join(name === 'bucket' ? '/' : '-') : String(value)}`;
  });
  return fields.join(',') || 'everything';
}

export function showTarget(to: RuleTarget): string {
  return typeof to === 'object' ? `queue ${to.queue}` : to;
}
