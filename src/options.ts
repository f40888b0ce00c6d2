import { PacketError } from './errors.js';
import { closest, didYouMean } from './suggestion.js';

/**
 * Checks that an options object has no names but the known ones: a misspelt option would be ignored in silence.
 *
 * @param what what the options are for, as messages name it
 * @throws PacketError INVALID_OPTION that names the option, and the one that was probably meant
 */
export function checkOptionNames(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new PacketError('INVALID_OPTION', `${what}: ${String(options)} is not an object with options`, {
      remedy: `it may have ${known.join(', ')}`,
    });
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new PacketError('INVALID_OPTION', `${what}: there is no option ${name}${didYouMean(name, known)}`, {
      remedy: `it may have ${known.join(', ')}`,
    });
  }
}

/** Checks an option that is true or false, or absent. @throws PacketError INVALID_OPTION */
export function checkBoolean(option: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return;
  throw new PacketError('INVALID_OPTION', `${option}: ${String(value)} is not true or false`, {
    remedy: 'give one of the two, or leave it out',
  });
}

/**
 * Checks an option that is one of a few words.
 *
 * @throws PacketError INVALID_OPTION that names the option, its value and the words, and the one that was probably meant
 */
export function checkChoice<Choice extends string>(option: string, value: unknown, choices: readonly Choice[]): Choice {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  const meant = typeof value === 'string' ? closest(value, choices) : undefined;
  throw new PacketError('INVALID_OPTION', `${option}: ${String(value)} is not one of ${choices.join(', ')}`, {
    remedy: meant === undefined ? `use ${choices.join(' or ')}` : `perhaps you mean ${meant}`,
  });
}
