// Packet arrays and frame sets, the talk's interface to drivers (K2), in a driver of one's own: node packet-arrays.js
// An array does not know what is at its ends (F4): here a source and a sink stand where a socket's ring would be.
import { Arena, FrameSet, PacketBuffer, packetArray } from 'tpacket4/soft';

const EIO = 5;
const buffer = PacketBuffer.create({ arena: Arena.create(2 ** 20), frames: 32 });
const frames = new Int32Array(8);

const source: packetArray.FrameSource = {
  populate(array, limit) {
    const count = buffer.pool.take(frames, 0, Math.min(limit, array.room, frames.length), 'receive');
    for (let i = 0; i < count; i++) array.add(frames[i]! + buffer.dataOffset, 0, 0, 0); // no data moves
    return count;
  },
};

const sink: packetArray.FrameSink = {
  flush(array, count) {
    for (let i = 0; i < count; i++) {
      const at = (array.start + i) & array.mask;
      const error = array.flags[at]! & packetArray.ERROR_MASK;
      console.log(`  a frame with ${array.length[at]} bytes${error > 0 ? `, errno ${error}` : ''}`);
      frames[i] = array.address[at]! & buffer.frameMask;
    }
    buffer.pool.give(frames, 0, count);
    array.start = (array.start + count) | 0;
  },
};

/** What a device does: writes a part of a packet into the frame of an outstanding entry, and says whether another follows. */
function receive(array: packetArray.PacketArray, index: number, bytes: number, continues: boolean): void {
  const at = index & array.mask;
  buffer.arena.u8.fill(index, array.address[at]!, array.address[at]! + bytes);
  array.length[at] = bytes;
  array.flags[at] = continues ? packetArray.CONTINUES : 0;
}

const array = new packetArray.PacketArray(8);
console.log(`${source.populate(array, 5)} frames are with the device`);
receive(array, 0, 60, false);
receive(array, 1, buffer.room, true); // a packet in two frames
receive(array, 2, 1000, false);
receive(array, 3, 1500, false);

for (const index of [3, 1, 2]) array.complete(index, 0);
console.log(`done in front of those outstanding: ${array.done}`);
array.complete(0, EIO);
console.log(`and when the first is complete, too: ${array.done}; outstanding: ${array.outstanding}`);

const packet = new FrameSet(); // made once, and moved over the array
for (let more = packet.firstPacket(array, array.start, array.current); more; more = packet.nextPacket()) {
  console.log(`packet of ${packet.bytes} bytes in ${packet.frames} frame(s)`);
  sink.flush(array, packet.frames);
}
console.log(`${source.populate(array, array.room)} more frames are with the device, ${array.outstanding} in all`);
