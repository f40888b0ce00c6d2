// The data-moving routines: AssemblyScript, compiled to WebAssembly over the arena. One call moves one batch.
// They decide nothing: every address and length in their lists was validated by TypeScript before. All addresses are byte
// offsets into the arena. 64 bytes cost 1.4-2 ns a packet here against 16-40 ns in a JavaScript loop.

// Layout shared with src/nic/descriptors.ts: a hardware descriptor has four words.
//   receive, read format   [ address | room | 0 | 0 ]           receive, write-back  [ hash | length | 0 | status ]
//   transmit, read format  [ address | length | command | 0 ]   transmit, write-back [ ...unchanged | status ]
const DONE: u32 = 1; // status: the device is finished with this descriptor
const LENGTH_SHIFT: u32 = 8; // status of a received packet: its length
const END_OF_PACKET: u32 = 2; // status and command: last descriptor of its packet

// Where the DMA routines leave what they have moved: three words.
//   [ descriptors used | packets | bytes ]
const USED: usize = 0;
const PACKETS: usize = 4;
const BYTES: usize = 8;

// @ts-ignore: decorator
@inline
function copy(destination: usize, source: usize, length: u32): void {
  if (length >= 16 && length <= 256) {
    // Whole vectors, the last one overlapping its predecessor: no tail loop. memory.copy costs a call out of WebAssembly,
    // which only pays above some 256 bytes.
    const last: usize = length - 16;
    for (let at: usize = 0; at < last; at += 16) v128.store(destination + at, v128.load(source + at));
    v128.store(destination + last, v128.load(source + last));
  } else {
    memory.copy(destination, source, length);
  }
}

/** Copies `count` packets; `list` holds three words each: [ source | destination | length ]. */
export function copyPackets(list: usize, count: i32): void {
  const end: usize = list + <usize>(count * 12);
  for (; list < end; list += 12) copy(load<u32>(list, 4), load<u32>(list), load<u32>(list, 8));
}

// What was read ahead ends up here, so that no compiler leaves the reads out.
let touched: u32 = 0;

/**
 * Reads a byte of every frame that receiveDma is about to write. Reads overlap where writes wait for each other: with 4096
 * sockets, whose frames no cache holds, a packet costs 20 ns less. With few sockets it does harm: a frame that the other core
 * has just read is fetched twice then, once to read and once to write (rxdrop between two threads: 18 instead of 36 Mpps).
 */
export function readAhead(ring: usize, mask: u32, head: u32, tail: u32, count: i32): void {
  let end = head + <u32>count;
  if (<i32>(tail - end) < 0) end = tail;
  let sum: u32 = 0;
  for (; head != end; head++) sum += load<u8>(load<u32>(ring + ((head & mask) << 4)));
  touched = sum;
}

/**
 * The receiving side of the device: writes packets from the wire into the frames that the receive descriptors
 * head..tail-1 name (each `room` bytes), and writes the descriptors back. `list` holds two words a packet: [ address | length ]; `hashes` one
 * word a packet, or is 0. Stops before a packet that is longer than `longest` or for which the descriptors do not suffice.
 */
export function receiveDma(
  ring: usize, mask: u32, head: u32, tail: u32, room: u32,
  list: usize, count: i32, hashes: usize, longest: u32, result: usize,
): void {
  const start = head;
  let bytes: u32 = 0;
  let packets = 0;
  for (; packets < count; packets++, list += 8) {
    let source: usize = load<u32>(list);
    let length: u32 = load<u32>(list, 4);
    if (head == tail || length > longest) break;
    const hash: u32 = hashes != 0 ? load<u32>(hashes + (<usize>packets << 2)) : 0;
    // A packet is delivered whole or not at all.
    if (length > room && (length + room - 1) / room > tail - head) break;
    bytes += length;
    let descriptor: usize = ring + ((head & mask) << 4);
    for (; length > room; source += room, length -= room) {
      copy(load<u32>(descriptor), source, room);
      store<u32>(descriptor, hash);
      store<u32>(descriptor, DONE | (room << LENGTH_SHIFT), 12);
      head++;
      descriptor = ring + ((head & mask) << 4);
    }
    copy(load<u32>(descriptor), source, length);
    store<u32>(descriptor, hash);
    store<u32>(descriptor, DONE | END_OF_PACKET | (length << LENGTH_SHIFT), 12);
    head++;
  }
  store<u32>(result, head - start, USED);
  store<u32>(result, packets, PACKETS);
  store<u32>(result, bytes, BYTES);
}

/**
 * The sending side of the device: reads every byte that the transmit descriptors head..tail-1 name into the transmit FIFO,
 * writes the descriptors back, and lists the packets in `list` as [ address | length ] for the wire. Only whole packets
 * are taken; it stops when `capacity` packets are listed or the FIFO has no room for the next one.
 */
export function transmitDma(
  ring: usize, mask: u32, head: u32, tail: u32,
  fifo: usize, fifoBytes: u32, list: usize, capacity: i32, result: usize,
): void {
  const start = head;
  const limit: usize = fifo + fifoBytes;
  let bytes: u32 = 0;
  let packets = 0;
  let into = fifo;
  while (packets < capacity && head != tail) {
    let descriptor: usize = ring + ((head & mask) << 4);
    let command: u32 = load<u32>(descriptor, 8);
    let length: u32 = load<u32>(descriptor, 4);
    let used: u32 = 1;
    if ((command & END_OF_PACKET) == 0) {
      let probe = head + 1;
      while (probe != tail) {
        const d: usize = ring + ((probe & mask) << 4);
        length += load<u32>(d, 4);
        used++;
        probe++;
        command = load<u32>(d, 8);
        if ((command & END_OF_PACKET) != 0) break;
      }
      if ((command & END_OF_PACKET) == 0) break; // the rest of the packet is not posted yet
    }
    if (into + length > limit) break;
    store<u32>(list, <u32>into);
    store<u32>(list, length, 4);
    list += 8;
    packets++;
    bytes += length;
    let to = into;
    into = (into + length + 63) & ~63;
    for (; used != 0; used--, head++) {
      descriptor = ring + ((head & mask) << 4);
      const part: u32 = load<u32>(descriptor, 4);
      copy(to, load<u32>(descriptor), part);
      to += part;
      store<u32>(descriptor, DONE, 12);
    }
  }
  store<u32>(result, head - start, USED);
  store<u32>(result, packets, PACKETS);
  store<u32>(result, bytes, BYTES);
}

// Of a plain packet (Ethernet, IPv4 without options, no fragment, TCP or UDP) the bytes that make its flow, in two vectors:
//   from byte 12: EtherType, version and header length | ... | fragment | protocol    from byte 26: addresses and ports
const PLAIN_BYTES: u32 = 42;

/**
 * Marks the packets that are plainly of the same flow as the one before: one word each at `marks`, 1 or 0 ("look yourself").
 * `list` holds two words a packet: [ address | length ]. Reads nothing beyond a packet's end.
 */
export function markFlows(list: usize, count: i32, marks: usize): void {
  const networkBits = i8x16(-1, -1, -1, 0, 0, 0, 0, 0, 0x3f, -1, 0, -1, 0, 0, 0, 0);
  const flowBits = i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0);
  const tcp = i8x16(8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0);
  const udp = i8x16(8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0);
  let network = i32x4(0, 0, 0, 0);
  let flow = i32x4(0, 0, 0, 0);
  let plain = false; // whether the packet before was
  for (let i = 0; i < count; i++, list += 8, marks += 4) {
    let mark: u32 = 0;
    if (load<u32>(list, 4) >= PLAIN_BYTES) {
      const packet: usize = load<u32>(list);
      const itsNetwork = v128.and(v128.load(packet, 12), networkBits);
      const itsFlow = v128.and(v128.load(packet, 26), flowBits);
      if (plain) {
        const difference = v128.or(v128.xor(itsNetwork, network), v128.xor(itsFlow, flow));
        if (!v128.any_true(difference)) mark = 1;
      }
      if (mark == 0) {
        plain = i8x16.all_true(i8x16.eq(itsNetwork, tcp)) || i8x16.all_true(i8x16.eq(itsNetwork, udp));
        network = itsNetwork;
        flow = itsFlow;
      }
    } else {
      plain = false;
    }
    store<u32>(marks, mark);
  }
}
