/**
 * Frames that came back to a ring's kernel side without a packet: the next to be received into, last in, first out. It grows as frames come, and
 * never beyond what the kernel's packet arrays hold: nothing else comes back.
 */
export class FrameStack {
  /** Arena offset of each frame's start. */
  frames: Int32Array;
  /** Frames in it. */
  count = 0;

  /** @param size frames to have room for from the start */
  constructor(size: number) {
    this.frames = new Int32Array(size);
  }

  push(frame: number): void {
    if (this.count === this.frames.length) this.#grow();
    this.frames[this.count++] = frame;
  }

  #grow(): void {
    const grown = new Int32Array(2 * this.frames.length);
    grown.set(this.frames);
    this.frames = grown;
  }
}
