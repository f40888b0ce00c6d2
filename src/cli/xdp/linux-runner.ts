import type { MapContents, MapDefinition } from '../../ebpf/maps/contract.js';
import type { Program } from '../../ebpf/program.js';
import type { LoadedObject, LoadedProgram } from '../../kernel/programs.js';
import { LinuxKernel } from '../../linux-kernel/linux-kernel.js';
import { openGivenMaps } from './given-maps.js';
import type { PacketRunner, RunOutcome } from './packet-runner.js';
import type { NamedProgram } from './program-file.js';

/** Times that the kernel runs a program on a packet at once, for measuring. */
const REPEATS = 100;

/** Runs programs in Linux (BPF_PROG_TEST_RUN): nothing is attached, and no packet goes anywhere. */
export class LinuxRunner implements PacketRunner {
  readonly name = 'Linux';
  readonly landmarks = undefined;
  readonly #kernel: LinuxKernel;
  readonly #named: NamedProgram;
  readonly #loaded: LoadedObject;

  private constructor(kernel: LinuxKernel, named: NamedProgram, loaded: LoadedObject) {
    this.#kernel = kernel;
    this.#named = named;
    this.#loaded = loaded;
  }

  /** @param paths of pinned maps to use, by name @throws PacketError as `LinuxKernel.loadObject` and `openPinnedMap` do */
  static async open(named: NamedProgram, paths: ReadonlyMap<string, string>): Promise<LinuxRunner> {
    const kernel = new LinuxKernel();
    const unshared = withoutPins(named);
    const maps = await openGivenMaps(kernel, paths);
    return new LinuxRunner(kernel, unshared, await kernel.loadObject(unshared.object, { maps }));
  }

  get maps(): readonly MapContents[] {
    return [...this.#loaded.maps.values()];
  }

  run(packet: Uint8Array): RunOutcome {
    return this.#programOf(this.#loaded).test(packet);
  }

  async measure(packets: readonly Uint8Array[], seconds: number): Promise<number> {
    const loaded = await this.#kernel.loadObject(this.#named.object);
    try {
      const program = this.#programOf(loaded);
      const end = performance.now() + seconds * 1000;
      let nanoseconds = 0;
      let runs = 0;
      do {
        for (const packet of packets) nanoseconds += program.test(packet, REPEATS).nanoseconds;
        runs += packets.length;
      } while (performance.now() < end);
      return nanoseconds / runs;
    } finally {
      loaded.close();
    }
  }

  close(): Promise<void> {
    return this.#kernel.close();
  }

  #programOf({ programs }: LoadedObject): LoadedProgram {
    return programs[this.#named.object.programs.indexOf(this.#named.program)]!;
  }
}

/** The same with maps of its own where others would share theirs: a trial must not write into those. */
function withoutPins({ object, program }: NamedProgram): NamedProgram {
  const maps = new Map(
    object.maps.map((map): [MapDefinition, MapDefinition] => [map, { ...map, pinnedByName: false }]),
  );
  const programs = new Map(
    object.programs.map((each): [Program, Program] => [
      each,
      { ...each, maps: each.maps.map((map) => maps.get(map)!) },
    ]),
  );
  return {
    program: programs.get(program)!,
    object: { ...object, programs: [...programs.values()], maps: [...maps.values()] },
  };
}
