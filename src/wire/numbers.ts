import { nearest, PacketError } from '../errors.js';

/** Checks an option that need not be whole. @throws PacketError INVALID_OPTION naming option, value and range */
export function checkNumber(option: string, value: unknown, minimum: number, maximum: number): number {
  if (typeof value === 'number' && value >= minimum && value <= maximum) return value;
  throw new PacketError('INVALID_OPTION', `${option}: ${String(value)} is not a number from ${minimum} to ${maximum}`, {
    remedy: nearest(value, (number) => number, minimum, maximum),
  });
}

/** Checks packets per second. @throws PacketError INVALID_OPTION naming option, value and range */
export function checkRate(option: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= 1e9) return value;
  throw new PacketError('INVALID_OPTION', `${option}: ${String(value)} is not a number above 0 and at most 1e9`, {
    remedy: 'give packets per second, such as 1000; leave it out for as fast as they are taken',
  });
}
