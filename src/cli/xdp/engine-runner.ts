import type { EbpfMap } from '../../ebpf/maps/contract.js';
import type { PacketOrigin } from '../../ebpf/trial/contract.js';
import type { Landmarks } from '../../ebpf/trial/landmarks.js';
import { measureProgram } from '../../ebpf/trial/measure.js';
import { ProgramTrial } from '../../ebpf/trial/program-trial.js';
import type { PacketRunner, RunOutcome } from './packet-runner.js';
import type { NamedProgram } from './program-file.js';

/** Runs programs in the engine of this package. */
export class EngineRunner implements PacketRunner {
  readonly name = 'the interpreter';
  readonly #named: NamedProgram;
  readonly #origin: PacketOrigin;
  readonly #trial: ProgramTrial;

  /** @param longest bytes of the longest packet @throws PacketError as `prepareObject` does */
  constructor(named: NamedProgram, longest: number, origin: PacketOrigin) {
    this.#named = named;
    this.#origin = origin;
    this.#trial = new ProgramTrial(named.object, named.program, longest, origin);
  }

  get landmarks(): Landmarks {
    return this.#trial.landmarks;
  }

  get maps(): readonly EbpfMap[] {
    return this.#trial.maps;
  }

  run(packet: Uint8Array, trace: boolean): RunOutcome {
    return this.#trial.run(packet, trace);
  }

  async measure(packets: readonly Uint8Array[], seconds: number): Promise<number> {
    const { object, program } = this.#named;
    return measureProgram(object, program, packets, this.#origin, seconds);
  }

  async close(): Promise<void> {}
}
