import type { MapContents } from '../../ebpf/maps/contract.js';
import type { LoadedObject } from '../../kernel/programs.js';
import type { LinuxProgram } from './loaded-program.js';

/** Something that holds descriptors. */
export interface Closable {
  close(): void;
}

/**
 * Programs and maps of one object. What is attached keeps them until it is detached: the kernel empties a map of programs as soon as no
 * process has it open, and chains of tail calls would end there.
 */
export class LinuxObject implements LoadedObject {
  readonly programs: readonly LinuxProgram[];
  readonly maps: ReadonlyMap<string, MapContents>;
  readonly #owned: readonly Closable[];
  readonly #onClose: (object: LinuxObject) => void;
  #attachments = 0;
  #closed = false;

  /**
   * @param owned what is closed with it
   * @param onClose called once, when its owner has closed it
   */
  constructor(
    programs: readonly LinuxProgram[],
    maps: ReadonlyMap<string, MapContents>,
    owned: readonly Closable[],
    onClose: (object: LinuxObject) => void,
  ) {
    this.programs = programs;
    this.maps = maps;
    this.#owned = owned;
    this.#onClose = onClose;
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
    this.#onClose(this);
    this.#end();
  }

  #end(): void {
    if (!this.#closed || this.#attachments > 0) return;
    for (const one of this.#owned) one.close();
  }
}
