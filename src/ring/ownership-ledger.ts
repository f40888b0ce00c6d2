import type { PacketBuffer } from '../packet-buffer/packet-buffer.js';

/** What a program did wrong with a frame or slot. */
export type OwnershipViolationKind =
  /** Sent although it is posted for sending already, or twice in one batch. */
  | 'double-post'
  /** Released although it was released already. */
  | 'double-release'
  /** Sent, released or to be kept although the program does not hold it. */
  | 'not-held'
  /** Its bytes changed between `send` and its coming back. */
  | 'use-after-send'
  /** Held when the last socket of the packet buffer was closed: nobody can give it back any more. */
  | 'leak'
  /** Handed out although the program holds it: somebody gave it back behind the checker's back. */
  | 'held-twice';

/** The calls that move frames between program and rings. */
export type OwnershipCall = 'receive' | 'allocate' | 'completions' | 'hold' | 'send' | 'release' | 'close';

/** One call of a program, for messages: which one, on which socket, and from where. */
export class OwnershipCallSite {
  /** The engine makes the text of the stack when it is asked for it, which is seldom. */
  readonly #here: Error;

  /** @internal */
  constructor(
    /** Which call it was. */
    readonly call: OwnershipCall,
    /** What messages call the socket: "soft0 queue 1 (xdp)". */
    readonly socket: string,
  ) {
    this.#here = new Error(call);
  }

  /** The calls that led here, innermost first, without those of the checker itself. */
  get stack(): string {
    const lines = (this.#here.stack ?? '').split('\n').slice(1);
    return lines.filter((line) => !/ownership-(checker|ledger)\.[jt]s/.test(line)).join('\n');
  }

  /** "send on soft0 (v4)". */
  toString(): string {
    return `${this.call} on ${this.socket}`;
  }
}

/** What the checker found. */
export interface OwnershipViolation {
  /** The code that a PacketError of it has. */
  readonly code: 'OWNERSHIP';
  /** Which rule was broken. */
  readonly kind: OwnershipViolationKind;
  /** The call that broke the rule; for a use after send the `send`, since the write itself cannot be seen. */
  readonly site: OwnershipCallSite;
  /** The call that moved the frame last before; for a leak the one that took it. Absent when there was none. */
  readonly before: OwnershipCallSite | undefined;
  /** Number of the frame in its packet buffer, or of the slot or block in its ring. */
  readonly frame: number;
  /** Arena byte offset as the program gave it, or as it was handed out. */
  readonly offset: number;
  /** The whole story in a sentence. */
  readonly message: string;
}

/** Who is told of violations: the checker of the socket that did it. */
export interface OwnershipReporter {
  report(violation: OwnershipViolation): void;
}

/** Whose a frame is. */
export const AWAY = 0; // in a ring for receiving, in the pool, or never seen
export const HELD = 1;
export const SENT = 2;
export type OwnershipState = typeof AWAY | typeof HELD | typeof SENT;

/**
 * Whose each frame of one packet buffer is, as the programs of this thread should see it. All checked sockets of the buffer share
 * it, so that frames which move from one to another stay in view.
 *
 *     AWAY --receive, allocate--> HELD --send--> SENT --comes back--> AWAY (or, by `completions`, HELD)
 *                                  +--release--> AWAY
 */
export class OwnershipLedger {
  readonly buffer: PacketBuffer;
  readonly #state: Uint8Array;
  /** The call that moved each frame last. */
  readonly #last: (OwnershipCallSite | undefined)[];
  // What was sent, for comparing when it comes back.
  readonly #sentBy: (OwnershipReporter | undefined)[];
  readonly #sentOffset: Int32Array;
  readonly #sentBytes: Int32Array;
  readonly #sentSum: Int32Array;
  readonly #users = new Set<OwnershipReporter>();
  readonly #shift: number;

  private constructor(buffer: PacketBuffer) {
    const { frames } = buffer;
    this.buffer = buffer;
    this.#state = new Uint8Array(frames);
    this.#last = new Array(frames).fill(undefined);
    this.#sentBy = new Array(frames).fill(undefined);
    this.#sentOffset = new Int32Array(frames);
    this.#sentBytes = new Int32Array(frames);
    this.#sentSum = new Int32Array(frames);
    this.#shift = 31 - Math.clz32(buffer.frameSize);
  }

  static readonly #ledgers = new WeakMap<PacketBuffer, OwnershipLedger>();

  /** The ledger of a buffer, for one more checker; `leave` when it closes. */
  static join(buffer: PacketBuffer, user: OwnershipReporter): OwnershipLedger {
    let ledger = OwnershipLedger.#ledgers.get(buffer);
    if (ledger === undefined) {
      ledger = new OwnershipLedger(buffer);
      OwnershipLedger.#ledgers.set(buffer, ledger);
      ledger.#watchReturns();
    }
    ledger.#users.add(user);
    return ledger;
  }

  /** A checker has closed. With the last one all frames that are still held are leaks. */
  leave(user: OwnershipReporter, site: OwnershipCallSite): void {
    if (!this.#users.delete(user)) return;
    for (let frame = 0; frame < this.buffer.frames; frame++) {
      // What the kernel did not hand back it never will.
      if (this.#sentBy[frame] === user) this.#forgetSent(frame);
    }
    if (this.#users.size > 0) return;
    OwnershipLedger.#ledgers.delete(this.buffer);
    this.buffer.onReturn = undefined;
    for (let frame = 0; frame < this.buffer.frames; frame++) {
      if (this.#state[frame] !== HELD) continue;
      const before = this.#last[frame];
      const offset = this.buffer.base + frame * this.buffer.frameSize;
      user.report({
        code: 'OWNERSHIP',
        kind: 'leak',
        site,
        before,
        frame,
        offset,
        message: `frame ${frame} was taken by ${before} and never given back`,
      });
    }
  }

  /** Sent frames come back inside the rings' own calls, where no decorator sees them: the buffer tells. */
  #watchReturns(): void {
    this.buffer.onReturn = (frames, count) => {
      for (let i = 0; i < count; i++) {
        const frame = this.frameAt(frames[i]!);
        if (frame < 0) continue;
        if (this.#state[frame] === SENT) this.checkSent(frame);
        this.#state[frame] = AWAY;
      }
    };
  }

  /** Number of the frame at an arena offset, or -1. */
  frameAt(offset: number): number {
    return this.buffer.contains(offset) ? (offset - this.buffer.base) >>> this.#shift : -1;
  }

  state(frame: number): OwnershipState {
    return this.#state[frame] as OwnershipState;
  }

  /** The call that moved a frame last. */
  last(frame: number): OwnershipCallSite | undefined {
    return this.#last[frame];
  }

  /** The program took a frame. Returns false when it had it already. */
  take(frame: number, site: OwnershipCallSite): boolean {
    const fresh = this.#state[frame] !== HELD;
    // By any other call it was checked when it came back, and may have been received into since.
    if (site.call === 'completions' && this.#state[frame] === SENT) this.checkSent(frame);
    this.#state[frame] = HELD;
    if (fresh) this.#last[frame] = site;
    return fresh;
  }

  /** The program gave a frame back. */
  giveBack(frame: number, site: OwnershipCallSite): void {
    this.#state[frame] = AWAY;
    this.#last[frame] = site;
  }

  /** The program sent what lies at `offset` of a frame. */
  send(frame: number, offset: number, bytes: number, site: OwnershipCallSite, sender: OwnershipReporter): void {
    this.#state[frame] = SENT;
    this.#last[frame] = site;
    this.#sentBy[frame] = sender;
    this.#sentOffset[frame] = offset;
    // A packet that can never be sent may claim any length.
    const frameEnd = (offset & this.buffer.frameMask) + this.buffer.frameSize;
    const inside = Math.max(0, Math.min(bytes, frameEnd - offset));
    this.#sentBytes[frame] = inside;
    this.#sentSum[frame] = checksum(this.buffer.arena.u8, offset, inside);
  }

  /** A sent frame came back: its bytes should be those that were sent. */
  checkSent(frame: number): void {
    const sender = this.#sentBy[frame];
    const site = this.#last[frame];
    if (sender === undefined || site === undefined) return;
    const offset = this.#sentOffset[frame]!;
    const changed = checksum(this.buffer.arena.u8, offset, this.#sentBytes[frame]!) !== this.#sentSum[frame];
    this.#forgetSent(frame);
    if (!changed) return;
    sender.report({
      code: 'OWNERSHIP',
      kind: 'use-after-send',
      site,
      before: undefined,
      frame,
      offset,
      message: `frame ${frame} was written to after ${site}, before it came back`,
    });
  }

  #forgetSent(frame: number): void {
    this.#sentBy[frame] = undefined;
    if (this.#state[frame] === SENT) this.#state[frame] = AWAY;
  }
}

/** FNV-1a over bytes. */
export function checksum(u8: Uint8Array, offset: number, bytes: number): number {
  let sum = 0x811c9dc5 | 0;
  for (let i = offset; i < offset + bytes; i++) sum = Math.imul(sum ^ u8[i]!, 0x01000193);
  return sum;
}
