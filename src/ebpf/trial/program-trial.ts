import {
  DEFAULT_BUDGET,
  type Executable,
  FAULT_NONE,
  PACKET_FAULT,
  PACKET_FAULT_SLOT,
  PACKET_FIRST,
  PACKET_LIMIT,
  PACKET_REDIRECT_MAP,
  PACKET_REDIRECT_TARGET,
  PACKET_VERDICT,
  XDP_REDIRECT,
} from '../execution.js';
import { XDP_HELPERS } from '../helpers/xdp-helpers.js';
import type { EbpfMap } from '../maps/contract.js';
import type { Program, ProgramObject } from '../program.js';
import { originalSlot } from '../tracing/instrument.js';
import { Tracer } from '../tracing/tracer.js';
import type { Fault, PacketOrigin, PacketOutcome, RedirectTarget } from './contract.js';
import { type Laboratory, openLaboratory } from './laboratory.js';
import { Landmarks } from './landmarks.js';
import { PacketPlaces, TRIAL_HEADROOM } from './packet-places.js';

/** Tries a program on packets, one after the other, and counts the instructions that each takes. Maps keep what it writes. */
export class ProgramTrial {
  readonly #tracer = new Tracer(XDP_HELPERS);
  readonly #laboratory: Laboratory;
  readonly #executable: Executable;
  /** What pointers in traces point to. */
  readonly landmarks: Landmarks;

  /**
   * @param program one of the object's
   * @param longest bytes of the longest packet that will come
   * @throws PacketError as `prepareObject` does
   */
  constructor(object: ProgramObject, program: Program, longest: number, origin: PacketOrigin) {
    const traced = { ...object, programs: object.programs.map((each) => this.#tracer.addProgram(each)) };
    this.#laboratory = openLaboratory(traced, {
      helpers: this.#tracer.helpers,
      origin,
      packets: 1,
      packetBytes: PacketPlaces.bytesOf(longest),
      budget: 2 * DEFAULT_BUDGET,
    });
    const { machine, places, maps, executables } = this.#laboratory;
    this.#executable = executables[object.programs.indexOf(program)]!;
    places.fill([new Uint8Array(longest)], 0);
    const first = places.word(0, PACKET_FIRST);
    this.landmarks = new Landmarks(machine, maps, {
      origin: first + TRIAL_HEADROOM,
      first,
      end: places.word(0, PACKET_LIMIT),
    });
  }

  /** The maps that the object's programs use, in its order. */
  get maps(): readonly EbpfMap[] {
    return this.#laboratory.maps;
  }

  /** Runs the program on a packet. @param trace whether to note each instruction */
  run(packet: Uint8Array, trace: boolean): PacketOutcome {
    const { machine, places } = this.#laboratory;
    places.fill([packet], 0);
    this.#tracer.begin(trace);
    this.#executable.run(places.records, 1);
    const steps = this.#tracer.finish(machine);
    const verdict = places.word(0, PACKET_VERDICT) >>> 0;
    return {
      verdict,
      packet: places.packet(0),
      executed: this.#tracer.executed,
      fault: this.#fault(),
      redirect: verdict === XDP_REDIRECT ? this.#redirect() : undefined,
      trace: steps,
    };
  }

  #fault(): Fault | undefined {
    const { places } = this.#laboratory;
    const kind = places.word(0, PACKET_FAULT);
    return kind === FAULT_NONE ? undefined : { kind, slot: originalSlot(places.word(0, PACKET_FAULT_SLOT)) };
  }

  #redirect(): RedirectTarget {
    const { machine, places } = this.#laboratory;
    return {
      map: machine.map(places.word(0, PACKET_REDIRECT_MAP))?.definition.name,
      target: places.word(0, PACKET_REDIRECT_TARGET) >>> 0,
    };
  }
}
