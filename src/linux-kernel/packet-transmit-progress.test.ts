import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HANDED_OVER, STATUS, TP_STATUS_SEND_REQUEST, TP_STATUS_SENDING, V2_TRANSMIT } from '../ring/v2/layout.js';
import { TransmitProgress } from './packet-transmit-progress.js';

const ENTRIES = 8;
const ENTRY_WORDS = 64;

/** A TX ring of eight frames, with both of its sides. */
class Ring {
  readonly i32 = new Int32Array(new SharedArrayBuffer(4096));
  readonly progress = new TransmitProgress(
    this.i32,
    { base: 1024, entries: ENTRIES, entryBytes: ENTRY_WORDS * 4 },
    V2_TRANSMIT,
  );

  set(frame: number, word: number, value: number): void {
    this.i32[256 + (frame % ENTRIES) * ENTRY_WORDS + word] = value;
  }

  post(first: number, count: number): void {
    for (let i = first; i < first + count; i++) this.set(i, STATUS, TP_STATUS_SEND_REQUEST);
    this.set(first, HANDED_OVER, -count);
    this.progress.look();
  }

  setStatus(first: number, count: number, status: number): void {
    for (let i = first; i < first + count; i++) this.set(i, STATUS, status);
  }
}

test('packets are sent when their frames are back, not before', () => {
  const ring = new Ring();
  const { progress } = ring;
  assert.deepEqual([progress.sent, progress.sending(), progress.unsent(), progress.full], [0, false, false, false]);
  ring.post(0, 3);
  assert.deepEqual([progress.sent, progress.sending(), progress.unsent()], [0, true, true]);
  ring.setStatus(0, 3, TP_STATUS_SENDING);
  progress.look();
  assert.deepEqual([progress.sent, progress.sending(), progress.unsent()], [0, true, false]);
  ring.setStatus(0, 2, 0);
  progress.look();
  assert.deepEqual([progress.sent, progress.sending()], [2, true]);
  ring.setStatus(2, 1, 0);
  progress.look();
  assert.deepEqual([progress.sent, progress.sending()], [3, false]);
});

test('a full ring is no new batch; frames posted again on the next way round are', () => {
  const ring = new Ring();
  const { progress } = ring;
  ring.post(0, 5);
  ring.post(5, 3);
  assert.equal(progress.full, true);
  progress.look();
  ring.setStatus(0, 6, 0);
  progress.look();
  assert.deepEqual([progress.sent, progress.full, progress.unsent()], [6, false, true]);
  ring.post(8, 6);
  assert.deepEqual([progress.sent, progress.full], [6, true]);
  ring.setStatus(0, 8, 0);
  progress.look();
  assert.deepEqual([progress.sent, progress.sending(), progress.unsent()], [14, false, false]);
});

test('frames that come back out of order are counted when those before them are back', () => {
  const ring = new Ring();
  const { progress } = ring;
  ring.post(0, 4);
  ring.setStatus(1, 3, 0);
  progress.look();
  assert.deepEqual([progress.sent, progress.sending()], [0, true]);
  ring.setStatus(0, 1, 0);
  progress.look();
  assert.equal(progress.sent, 4);
});

test('a batch that claims more than the ring has is counted as the ring', () => {
  const ring = new Ring();
  ring.set(0, HANDED_OVER, -1000);
  ring.set(0, STATUS, TP_STATUS_SEND_REQUEST);
  ring.progress.look();
  assert.equal(ring.progress.full, true);
  assert.equal(ring.progress.sent, 0);
});
