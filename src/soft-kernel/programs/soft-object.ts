import type { MapContents } from '../../ebpf/maps/contract.js';
import type { LoadedObject } from '../../kernel/programs.js';
import type { SoftMap } from './soft-map.js';
import type { SoftProgram } from './soft-program.js';

/** Programs and maps of one object in the soft kernel. What is attached keeps them until it is detached. */
export class SoftObject implements LoadedObject {
  readonly programs: readonly SoftProgram[];
  readonly maps: ReadonlyMap<string, MapContents>;
  readonly #maps: readonly SoftMap[];
  #attachments = 0;
  #closed = false;

  /** @param maps its own, and those given in the place of its own, held for it */
  constructor(programs: readonly SoftProgram[], maps: ReadonlyMap<string, SoftMap>) {
    this.programs = programs;
    this.maps = maps;
    this.#maps = [...maps.values()];
    for (const program of programs) program.object = this;
  }

  /** A program of it is attached. Every call wants one `release`. */
  retain(): void {
    this.#attachments++;
  }

  release(): void {
    this.#attachments--;
    this.#end();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#end();
  }

  #end(): void {
    if (!this.#closed || this.#attachments > 0) return;
    for (const program of this.programs) program.close();
    for (const map of this.#maps) map.close();
  }
}
