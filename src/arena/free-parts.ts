/** A part of a range of addresses, in bytes. */
export interface Part {
  /** Its first byte. */
  readonly offset: number;
  /** Its length. */
  readonly bytes: number;
}

/** The free parts of a range, sorted by offset and never adjacent to each other: gives out the first that fits. */
export class FreeParts {
  readonly #free: { offset: number; bytes: number }[];

  constructor(range: Part) {
    this.#free = [{ offset: range.offset, bytes: range.bytes }];
  }

  /** Bytes not given out, in total; the largest part is smaller when they are scattered. */
  get bytes(): number {
    return this.#free.reduce((sum, part) => sum + part.bytes, 0);
  }

  /**
   * Takes `bytes` out, at a multiple of `alignment` (a power of two).
   * @returns their offset, or undefined where no part is large enough
   */
  take(bytes: number, alignment: number): number | undefined {
    for (let i = 0; i < this.#free.length; i++) {
      const part = this.#free[i]!;
      const offset = Math.ceil(part.offset / alignment) * alignment;
      const before = offset - part.offset;
      if (before + bytes > part.bytes) continue;
      const rest = { offset: offset + bytes, bytes: part.bytes - before - bytes };
      const kept = before > 0 ? [{ offset: part.offset, bytes: before }] : [];
      this.#free.splice(i, 1, ...kept, ...(rest.bytes > 0 ? [rest] : []));
      return offset;
    }
    return undefined;
  }

  /** Takes a part back. */
  give({ offset, bytes }: Part): void {
    const next = this.#free.findIndex((part) => part.offset > offset);
    const at = next < 0 ? this.#free.length : next;
    this.#free.splice(at, 0, { offset, bytes });
    for (let i = Math.min(at + 1, this.#free.length - 1); i >= Math.max(at, 1); i--) {
      const left = this.#free[i - 1]!;
      const right = this.#free[i]!;
      if (left.offset + left.bytes !== right.offset) continue;
      left.bytes += right.bytes;
      this.#free.splice(i, 1);
    }
  }
}
