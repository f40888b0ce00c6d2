import type { Condition, Test } from './condition.js';
import { decided, type Fact, inCommon, isCovered, withFact } from './facts.js';

/** Where a decision ends, in the place of the number of a test. */
export const ACCEPT = -1;
export const REFUSE = -2;

/** Rounds of simplifying: each makes the program shorter, and few are ever needed. */
const MOST_ROUNDS = 20;

/** One test of a decision, and what comes after it: the number of a test, {@link ACCEPT} or {@link REFUSE}. */
interface Step {
  readonly test: Test;
  yes: number;
  no: number;
}

/**
 * A condition as tests that follow on each other. Equal tests with equal followers are one; what earlier tests tell is not tested again. A
 * test whose outcome does not matter stays where its loads decide whether a packet is long enough.
 */
export class Decision {
  readonly #steps: Step[] = [];
  readonly #numbers = new Map<string, number>();
  /** The first test, or the end where there is none. */
  first: number;

  constructor(condition: Condition) {
    this.first = this.#build(condition, ACCEPT, REFUSE);
    for (let round = 0; round < MOST_ROUNDS && this.#thread(); round++) this.#merge();
  }

  step(number: number): Readonly<Step> {
    return this.#steps[number]!;
  }

  /** The tests that can be come to, each before those that follow it. */
  order(): number[] {
    const order: number[] = [];
    const seen = new Uint8Array(this.#steps.length);
    // A test is done when both that follow are: 0 not seen, 1 to be looked at again, 2 done.
    const waiting = [this.first];
    while (waiting.length > 0) {
      const number = waiting.at(-1)!;
      if (number < 0 || seen[number] === 2) waiting.pop();
      else if (seen[number] === 1) {
        seen[number] = 2;
        order.push(number);
        waiting.pop();
      } else {
        seen[number] = 1;
        waiting.push(this.#steps[number]!.yes, this.#steps[number]!.no);
      }
    }
    return order.reverse();
  }

  #build(condition: Condition, yes: number, no: number): number {
    switch (condition.kind) {
      case 'constant':
        return condition.holds ? yes : no;
      case 'not':
        return this.#build(condition.operand, no, yes);
      case 'all':
        return condition.parts.reduceRight((next, part) => this.#build(part, next, no), yes);
      case 'any':
        return condition.parts.reduceRight((next, part) => this.#build(part, yes, next), no);
      case 'test':
        return this.#add(condition.test, yes, no);
    }
  }

  #add(test: Test, yes: number, no: number): number {
    const key = `${test.key} ${yes} ${no}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#steps.push({ test, yes, no }) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** Leads each outcome past the tests that it decides. Returns whether anything has changed. */
  #thread(): boolean {
    let changed = false;
    // What is known wherever a test is come to from.
    const facts = new Map<number, Fact | undefined>([[this.first, undefined]]);
    const follow = (from: Fact, to: number): number => {
      let number = to;
      while (number >= 0) {
        const { test, yes, no } = this.#steps[number]!;
        const outcome = yes === no && isCovered(test, from) ? true : decided(test, from);
        if (outcome === undefined) break;
        number = outcome ? yes : no;
      }
      if (number >= 0) facts.set(number, facts.has(number) ? inCommon(facts.get(number), from) : from);
      changed ||= number !== to;
      return number;
    };
    for (const number of this.order()) {
      if (!facts.has(number)) continue; // nothing leads to it any more
      const step = this.#steps[number]!;
      step.yes = follow(withFact(facts.get(number), step.test, true), step.yes);
      step.no = follow(withFact(facts.get(number), step.test, false), step.no);
    }
    return changed;
  }

  /** Makes equal tests one again. */
  #merge(): void {
    this.#numbers.clear();
    const replaced = new Map<number, number>([
      [ACCEPT, ACCEPT],
      [REFUSE, REFUSE],
    ]);
    for (const number of this.order().reverse()) {
      const { test, yes, no } = this.#steps[number]!;
      replaced.set(number, this.#add(test, replaced.get(yes)!, replaced.get(no)!));
    }
    this.first = replaced.get(this.first)!;
  }
}
