import { Arena } from '../arena/arena.js';
import type { MapContents } from '../ebpf/maps/contract.js';
import type { ProgramObject } from '../ebpf/program.js';
import { PacketError } from '../errors.js';
import type { InterfaceInfo, Kernel, KernelSocket, PacketVersion } from '../kernel/contract.js';
import type {
  AttachRequest,
  LoadedObject,
  LoadedProgram,
  LoadOptions,
  ProgramAttachment,
  ProgramKernel,
} from '../kernel/programs.js';
import { Ethtool, type UseEthtool } from './ethtool.js';
import { FlowDirectors } from './flow-director/flow-directors.js';
import { listInterfaces } from './interfaces.js';
import { type PacketRingHost, PacketRingSocket } from './packet-ring-socket.js';
import { type AttachPlace, LinuxAttachment } from './programs/attached-program.js';
import type { LinuxObject } from './programs/loaded-object.js';
import { loadObject } from './programs/object-loading.js';
import { openPinnedMap, PIN_FOLDER, pinMap } from './programs/pinned-maps.js';
import { openRecords, type RecordReader } from './programs/record-reader.js';
import { repair } from './repair.js';
import { SystemCalls } from './system-calls.js';
import { XdpPrograms } from './xdp-program.js';
import { type XdpHost, XdpSocket } from './xdp-socket.js';

/** Options of the Linux kernel. */
export interface LinuxKernelOptions {
  /** Where rings are mapped and packet buffers must lie; default the thread's own arena. */
  readonly arena?: Arena;
  /** Folder in which maps are pinned that other loaders share by name (LIBBPF_PIN_BY_NAME); default "/sys/fs/bpf". */
  readonly pinFolder?: string;
  /** @internal What ethtool commands go to instead of the interface's driver: a stand-in for hardware that a machine does not have. */
  readonly useEthtool?: UseEthtool;
}

/** What everything of one kernel shares. */
interface Host extends XdpHost, PacketRingHost, AttachPlace {
  /** The objects that are loaded; an object takes itself out when it is closed. */
  readonly objects: Set<LinuxObject>;
}

/**
 * The kernel contract on the interfaces of a Linux machine, in the network namespace of this thread, which may be a container's (Q8), by system calls. Nothing
 * is loaded or opened before the first call. What it attaches to an interface is detached by closing, and by the
 * Linux kernel when the process ends in whatever way.
 */
export class LinuxKernel implements Kernel, ProgramKernel {
  /** Tells it from a soft kernel. */
  readonly name = 'linux';
  readonly arena: Arena;
  readonly #pinFolder: string;
  readonly #useEthtool: UseEthtool | undefined;
  #host: Host | undefined;
  #closed = false;

  constructor(options: LinuxKernelOptions = {}) {
    this.arena = options.arena ?? Arena.default();
    this.#pinFolder = options.pinFolder ?? PIN_FOLDER;
    this.#useEthtool = options.useEthtool;
  }

  /** @throws PacketError UNSUPPORTED_PLATFORM */
  async interfaces(): Promise<InterfaceInfo[]> {
    const { calls } = await this.#open();
    return listInterfaces(calls);
  }

  /** @throws PacketError MODE_UNSUPPORTED, NO_PRIVILEGE, UNSUPPORTED_PLATFORM, SYSTEM_CALL */
  async socket(version: PacketVersion): Promise<KernelSocket> {
    if (version === 'xdp') return this.xdpSocket();
    if (version !== 'v4') return PacketRingSocket.open(await this.#open(), version);
    throw new PacketError('MODE_UNSUPPORTED', 'Linux never merged AF_PACKET V4', {
      remedy: "AF_XDP is what it became ('xdp'); the soft kernel has V4",
    });
  }

  /** @internal `socket('xdp')` with the type that has what only Linux tells, such as the kicks' counts. */
  async xdpSocket(): Promise<XdpSocket> {
    return XdpSocket.open(await this.#open());
  }

  /**
   * Makes the maps of an object and loads its programs (bpf(2)), all or none. A map that is shared by name is opened in the folder of
   * pins, or pinned there.
   *
   * @throws PacketError PROGRAM_REFUSED (a {@link ProgramRefusal}, with the verifier's log), MAP_UNSUPPORTED, INVALID_OPTION, NO_PRIVILEGE,
   *   UNSUPPORTED_PLATFORM, SYSTEM_CALL
   */
  async loadObject(object: ProgramObject, options?: LoadOptions): Promise<LoadedObject> {
    const { calls, objects } = await this.#open();
    const onClose = (closed: LinuxObject): void => void objects.delete(closed);
    const loaded = loadObject({ calls, pinFolder: this.#pinFolder, onClose }, object, options);
    objects.add(loaded);
    return loaded;
  }

  /**
   * Attaches a program by a BPF link: it is detached by the end of the process, in whatever way. Where attaching resets the link, it is
   * waited for, up to 5 s.
   *
   * @throws PacketError NO_INTERFACE, INTERFACE_BUSY (who is there already), MODE_UNSUPPORTED, INVALID_OPTION, NO_PRIVILEGE, SYSTEM_CALL
   */
  async attachProgram(program: LoadedProgram, request: AttachRequest): Promise<ProgramAttachment> {
    return LinuxAttachment.attach(await this.#open(), program, request);
  }

  /**
   * Opens a map that was pinned in a BPF file system, by whatever program. Its definition is what the kernel tells of it.
   *
   * @param path "/sys/fs/bpf/counters"
   * @returns the caller's to close; the pin stays
   * @throws PacketError INVALID_OPTION (no map is pinned there), MAP_UNSUPPORTED, NO_PRIVILEGE, UNSUPPORTED_PLATFORM, SYSTEM_CALL
   */
  async openPinnedMap(path: string): Promise<MapContents> {
    const { calls } = await this.#open();
    return openPinnedMap(calls, path);
  }

  /**
   * Pins a map in a BPF file system: other programs can open it there, and it stays until the file is removed.
   *
   * @throws PacketError INVALID_OPTION (something is there already, or the folder is in no BPF file system), NO_PRIVILEGE,
   *   UNSUPPORTED_PLATFORM, SYSTEM_CALL
   */
  async pinMap(map: MapContents, path: string): Promise<void> {
    const { calls } = await this.#open();
    pinMap(calls, map, path);
  }

  /**
   * Reads what programs put into a map of type ringbuf or perf_event_array. The records are mapped into the arena.
   *
   * @returns the caller's to close, before the map
   * @throws PacketError MAP_UNSUPPORTED for a map of another type, INVALID_OPTION, ARENA_EXHAUSTED, NO_PRIVILEGE, UNSUPPORTED_PLATFORM,
   *   SYSTEM_CALL
   */
  async openRecords(map: MapContents): Promise<RecordReader> {
    const { calls, arena } = await this.#open();
    return openRecords(calls, arena, map);
  }

  /** Closes every socket, detaches every program and closes every object. Maps that were opened by path stay open. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#host === undefined) return;
    const { sockets, packetSockets, attachments, objects } = this.#host;
    for (const socket of [...sockets, ...packetSockets]) await socket.close();
    for (const attachment of [...attachments]) await attachment.detach();
    for (const object of [...objects]) object.close();
  }

  async #open(): Promise<Host> {
    const calls = await SystemCalls.load();
    if (this.#closed) throw new PacketError('WRONG_STATE', 'the kernel is closed', { remedy: 'make another' });
    const useEthtool = this.#useEthtool ?? ((name, work) => Ethtool.use(calls, name, work));
    if (this.#host === undefined) repair(true, { useEthtool }); // what programs left behind that were killed
    this.#host ??= {
      calls,
      arena: this.arena,
      programs: new XdpPrograms(calls),
      directors: new FlowDirectors(useEthtool),
      sockets: new Set(),
      packetSockets: new Set(),
      objects: new Set(),
      attachments: new Set(),
    };
    return this.#host;
  }
}
