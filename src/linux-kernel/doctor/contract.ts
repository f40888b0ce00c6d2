import type { ModeAnswer } from '../../kernel/device-report.js';

/** What one check has found. */
export interface Finding {
  /** What was looked at: "capabilities", "queues". */
  readonly check: string;
  /** Three answers: it works, it does not, nobody tells. */
  readonly answer: 'works' | 'does-not' | 'cannot-tell';
  /** `blocks`: sockets do not open, or no packet comes. `hampers`: they do, with less than one may expect. `none`: all is well. */
  readonly severity: 'none' | 'hampers' | 'blocks';
  /** What is the case, or why it does not work, or why it cannot be told. */
  readonly what: string;
  /** The command, or the option of `openSocket`, that changes it. */
  readonly remedy?: string;
}

/** What stands in the way of packet sockets on a machine and, where one was named, on an interface. */
export interface Diagnosis {
  /** Whether nothing that blocks was found. */
  readonly clear: boolean;
  /** What holds for every interface: kernel, privileges, limits. One finding a check, in a fixed order. */
  readonly machine: readonly Finding[];
  /** The interface that was asked for; without one every interface, with its modes alone. */
  readonly interfaces: readonly InterfaceDiagnosis[];
}

/** What stands in the way on one interface. */
export interface InterfaceDiagnosis {
  /** Name of the interface. */
  readonly name: string;
  /** One for each check; none where the interface was not asked for by name. */
  readonly findings: readonly Finding[];
  /** Every mode of the ladder, best first, and whether a socket of this process would open in it. */
  readonly modes: readonly ModeAnswer[];
}

export function fine(check: string, what: string): Finding {
  return { check, answer: 'works', severity: 'none', what };
}

export function blocks(check: string, what: string, remedy?: string): Finding {
  return { check, answer: 'does-not', severity: 'blocks', what, ...(remedy !== undefined && { remedy }) };
}

export function hampers(check: string, what: string, remedy?: string): Finding {
  return { check, answer: 'does-not', severity: 'hampers', what, ...(remedy !== undefined && { remedy }) };
}

export function unclear(check: string, what: string, remedy?: string): Finding {
  return { check, answer: 'cannot-tell', severity: 'none', what, ...(remedy !== undefined && { remedy }) };
}
