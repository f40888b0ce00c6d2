import type { MacAddress } from '../../packet/mac-address.js';
import type { Span } from './filter-error.js';

/** A word, number, address or sign of an expression. */
export type Token = Span &
  (
    | {
        /** A keyword as it stands, or an identifier: a name of a host, port or protocol. */
        readonly kind: 'word';
        readonly text: string;
        /** Written with a backslash: an identifier, whatever keywords there are. */
        readonly escaped: boolean;
      }
    /** 0 to 2^32 - 1. `named` for names of constants, such as tcp-syn. */
    | { readonly kind: 'number'; readonly value: number; readonly named: boolean }
    /** Two to four numbers between dots. */
    | { readonly kind: 'dotted'; readonly parts: readonly number[] }
    /** Four words of 32 bits, signed. */
    | { readonly kind: 'ipv6'; readonly words: readonly number[] }
    | { readonly kind: 'mac'; readonly address: MacAddress }
    | { readonly kind: 'sign'; readonly text: Sign }
    | { readonly kind: 'end' }
  );

/** Signs; `&&`, `||` and `!` come as the words `and`, `or` and `not`, `==` as `=`. */
export const SIGNS = [
  '<<',
  '>>',
  '<=',
  '>=',
  '!=',
  '(',
  ')',
  '[',
  ']',
  ':',
  '/',
  '*',
  '%',
  '+',
  '-',
  '&',
  '|',
  '^',
  '<',
  '>',
  '=',
] as const;
export type Sign = (typeof SIGNS)[number];

/** Whether a token is this sign, or this word without a backslash. */
export function isToken(token: Token, text: string): boolean {
  return (
    (token.kind === 'sign' && token.text === text) || (token.kind === 'word' && !token.escaped && token.text === text)
  );
}
