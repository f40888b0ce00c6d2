import { type CapturePacket, LINKTYPE_ETHERNET } from '../capture-file/contract.js';
import { openCapture } from '../capture-file/open-capture.js';
import { PacketError } from '../errors.js';
import { ETHERNET_HEADER_BYTES } from '../packet/ethernet.js';
import { canBecomeEthernet, ethernetLength } from './ethernet-conversion.js';

/** A clock that is set back by more than this was changed; by less, packets were only written in another order. */
const CLOCK_STEP_NANOSECONDS = 1e9;
/** A longer gap between two packets is cut down to this: one damaged timestamp must not stop a replay for years. */
const LONGEST_GAP_NANOSECONDS = 24 * 3600 * 1e9;

/** The packets of a capture file as a replay needs them. */
export interface CapturedPackets {
  /** Their numbers in the file, from 1. */
  readonly numbers: readonly number[];
  /** Places of their data in the file's bytes, and its lengths there. */
  readonly offsets: readonly number[];
  readonly capturedLengths: readonly number[];
  readonly linkTypes: readonly number[];
  /** Lengths as Ethernet packets, in bytes without FCS. */
  readonly lengths: readonly number[];
  /** The largest of those. */
  readonly longest: number;
  /** When each packet is due after the first one, in nanoseconds: never falling. */
  readonly due: readonly number[];
  /** Packets left out because they are shorter than an Ethernet header. */
  readonly tooShort: number;
  /** Packets that the capture cut (snap length); they are replayed as short as they are. */
  readonly cut: number;
  /** What is wrong with the file behind the last packet. */
  readonly damage: PacketError | undefined;
}

/**
 * Lists the packets of a capture file.
 *
 * @param convert whether packets of other link types may become Ethernet
 * @throws PacketError CAPTURE_UNSUPPORTED where there are packets that cannot go over Ethernet, CAPTURE_CORRUPT where no packet
 *   can be read, INVALID_OPTION where there is none
 */
export function listCapturedPackets(capture: Uint8Array, convert: boolean): CapturedPackets {
  const numbers: number[] = [];
  const offsets: number[] = [];
  const capturedLengths: number[] = [];
  const linkTypes: number[] = [];
  const lengths: number[] = [];
  const due: number[] = [];
  const timeline = new Timeline();
  let number = 0;
  let longest = 0;
  let tooShort = 0;
  let cut = 0;
  let damage: PacketError | undefined;
  const reader = openCapture(capture);
  const { packet } = reader;
  for (;;) {
    try {
      if (!reader.next()) break;
    } catch (error) {
      if (!(error instanceof PacketError) || error.code !== 'CAPTURE_CORRUPT' || lengths.length === 0) throw error;
      damage = error;
      break;
    }
    number++;
    checkLinkType(packet.linkType, convert);
    const length = ethernetLength(packet.linkType, packet.length);
    if (length < ETHERNET_HEADER_BYTES) {
      tooShort++;
      continue;
    }
    if (packet.originalLength > packet.length) cut++;
    numbers.push(number);
    offsets.push(packet.offset);
    capturedLengths.push(packet.length);
    linkTypes.push(packet.linkType);
    lengths.push(length);
    longest = Math.max(longest, length);
    due.push(timeline.due(packet));
  }
  if (lengths.length === 0) {
    throw new PacketError('INVALID_OPTION', 'capture: the file holds no packet that could be replayed', {
      remedy: 'give a file with packets of 14 bytes and more; `capinfos FILE` tells what it holds',
    });
  }
  return { numbers, offsets, capturedLengths, linkTypes, lengths, longest, due, tooShort, cut, damage };
}

function checkLinkType(linkType: number, convert: boolean): void {
  if (linkType === LINKTYPE_ETHERNET) return;
  const convertible = canBecomeEthernet(linkType);
  if (convertible && convert) return;
  throw new PacketError('CAPTURE_UNSUPPORTED', `the capture was not taken on Ethernet: it has link type ${linkType}`, {
    remedy: convertible ? 'set asEthernet: its packets then get an Ethernet header' : 'record on an Ethernet interface',
  });
}

/** Turns times of day into times since the first packet that never fall. */
class Timeline {
  #started = false;
  /** A time of day, and when it is due. */
  #baseSeconds = 0;
  #baseNanoseconds = 0;
  #baseDue = 0;
  #latest = 0;

  due(packet: CapturePacket): number {
    if (!packet.timestamped) return this.#latest;
    if (!this.#started) this.#restart(packet);
    this.#started = true;
    const sinceBase = (packet.seconds - this.#baseSeconds) * 1e9 + (packet.nanoseconds - this.#baseNanoseconds);
    const gap = this.#baseDue + sinceBase - this.#latest;
    if (gap > LONGEST_GAP_NANOSECONDS) {
      this.#latest += LONGEST_GAP_NANOSECONDS;
      this.#restart(packet);
    } else if (gap < -CLOCK_STEP_NANOSECONDS) {
      this.#restart(packet);
    } else if (gap > 0) {
      this.#latest += gap;
    }
    return this.#latest;
  }

  /** From here on times count from this packet, which is due now. */
  #restart(packet: CapturePacket): void {
    this.#baseSeconds = packet.seconds;
    this.#baseNanoseconds = packet.nanoseconds;
    this.#baseDue = this.#latest;
  }
}
