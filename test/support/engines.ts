import { test } from 'node:test';
import { compiler } from '../../src/ebpf/compiler/compiler.js';
import type { Engine } from '../../src/ebpf/execution.js';
import { interpreter } from '../../src/ebpf/interpreter/interpreter.js';

/** All there are. */
export const ENGINES: readonly Engine[] = [interpreter, compiler];

/** A test for each engine. */
export function testEngines(name: string, run: (engine: Engine) => void): void {
  for (const engine of ENGINES) test(`${engine.name}: ${name}`, () => run(engine));
}
