/** Whether something works. The third answer is honest: nobody tells, and trying is the only way to know. */
export type Answer =
  | {
      /** It works, here and now. */
      readonly answer: 'works';
    }
  | {
      /** `does-not`: it will not work until something is changed. `cannot-tell`: try. */
      readonly answer: 'does-not' | 'cannot-tell';
      /** A sentence without its full stop. */
      readonly why: string;
      /** What the user can do about it, as a sentence or a command. */
      readonly remedy?: string;
    };

/** A fact, or why it is not known. */
export type Known<Fact> =
  | {
      /** Somebody has told. */
      readonly known: true;
      /** What was told. */
      readonly value: Fact;
    }
  | {
      /** Nobody tells, or this process may not ask. */
      readonly known: false;
      /** Why not: a sentence without its full stop. */
      readonly why: string;
    };

export const WORKS: Answer = { answer: 'works' };

export function doesNot(why: string, remedy?: string): Answer {
  return { answer: 'does-not', why, ...(remedy !== undefined && { remedy }) };
}

export function cannotTell(why: string, remedy?: string): Answer {
  return { answer: 'cannot-tell', why, ...(remedy !== undefined && { remedy }) };
}

export function known<Fact>(value: Fact): Known<Fact> {
  return { known: true, value };
}

export function unknown(why: string): { known: false; why: string } {
  return { known: false, why };
}

/** The fact where it is known. */
export function factOf<Fact>(fact: Known<Fact>): Fact | undefined {
  return fact.known ? fact.value : undefined;
}
