import { type ErrorCode, PacketError } from '../../errors.js';

/** Characters of an expression: `start` is the first, `end` is behind the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Most characters of a line that are shown around a mistake. */
const SHOWN = 76;

/**
 * An error that shows the expression, with carets under the characters it is about:
 *
 *     there is no word tpc (did you mean tcp?), at character 1
 *       tpc port 80
 *       ^^^
 */
export function filterError(
  code: ErrorCode,
  expression: string,
  { start, end }: Span,
  message: string,
  remedy: string,
): PacketError {
  // Each character is shown in one column, control characters as a mark.
  const shown = expression.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '\t' || character === '\n' ? ' ' : '?'.repeat(character.length),
  );
  const from = shown.length <= SHOWN ? 0 : Math.max(0, Math.min(start - SHOWN / 2, shown.length - SHOWN));
  const carets = '^'.repeat(Math.max(1, Math.min(end, from + SHOWN) - start));
  const text = `${message}, at character ${start + 1}\n  ${shown.slice(from, from + SHOWN)}\n  ${' '.repeat(start - from)}${carets}`;
  return new PacketError(code, text, { remedy });
}

/** The characters from the first span to the last. */
export function spanOf(first: Span, last: Span): Span {
  return { start: first.start, end: last.end };
}
