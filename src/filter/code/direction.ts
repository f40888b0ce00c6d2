import type { Direction } from '../language/syntax.js';
import { all, any, type Condition } from './condition.js';

/** Puts the conditions on source and destination together. */
export function inDirection(direction: Direction, source: () => Condition, destination: () => Condition): Condition {
  switch (direction) {
    case 'source':
      return source();
    case 'destination':
      return destination();
    case 'either':
      return any(source(), destination());
    case 'both':
      return all(source(), destination());
  }
}
