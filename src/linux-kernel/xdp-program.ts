import { createProgram } from '../ebpf/create-program.js';
import type { MapDefinition } from '../ebpf/maps/contract.js';
import { MOST_SLOTS } from '../ebpf/structure.js';
import { PacketError } from '../errors.js';
import type { ClassicInstruction } from '../filter/classic/instruction.js';
import { compileExpression } from '../filter/compile-expression.js';
import { isFiltered } from '../steering/filtered.js';
import { codeForQueues, type QueueFilter, type QueueRules } from '../steering/programs/rule-code.js';
import { xdpCountedDrop, xdpProgram, xdpRedirect } from '../steering/programs/xdp-program.js';
import type { FilteredPackets, ParsedRule } from '../steering/rules.js';
import { E2BIG } from './constants.js';
import type { LinuxInterface } from './interfaces.js';
import { LinkResets } from './link-resets.js';
import { LinuxMap } from './programs/linux-map.js';
import { loadProgram } from './programs/program-loading.js';
import { ProgramRefusal } from './programs/program-refusal.js';
import { enterSocket, removeSocket } from './programs/socket-entries.js';
import { type AttachMode, XdpLink } from './programs/xdp-link.js';
import { fillTables, RuleDrops, tableMap } from './rule-maps.js';
import type { SystemCalls } from './system-calls.js';

/** What the socket of a queue receives: all packets, those that match a rule, or those that an expression accepts. */
export type QueueReceive = 'all' | readonly ParsedRule[] | FilteredPackets;

/**
 * The XDP program that feeds the sockets of one interface, its map from queue to socket, and the BPF link that attaches it.
 * Packets of queues without a socket go to the ordinary stack, and so do those that match none of their queue's rules. The kernel
 * detaches all of it when the link's descriptor is closed, also by the end of the process.
 *
 * The rules of all queues are compiled into the program. Other rules are another program, which takes the place of this one in the
 * link at once (BPF_LINK_UPDATE): each packet meets either the one or the other.
 */
export class XdpProgram {
  readonly attachMode: AttachMode;
  /** Whether it takes packets of several fragments (F9). */
  readonly segments: boolean;
  readonly #calls: SystemCalls;
  readonly #map: LinuxMap;
  readonly #link: XdpLink;
  /** From the first rule on that drops packets. */
  #drops: RuleDrops | undefined;
  /** The queues with a socket. */
  readonly #queues = new Map<number, QueueReceive>();
  /** The queues with rules in the program that is attached, and these rules by name. Queues that are gone stay in it: their entry is empty. */
  #compiled: ReadonlyMap<number, string> = new Map();
  #users = 1;

  private constructor(calls: SystemCalls, attachMode: AttachMode, segments: boolean, map: LinuxMap, link: XdpLink) {
    this.#calls = calls;
    this.attachMode = attachMode;
    this.segments = segments;
    this.#map = map;
    this.#link = link;
  }

  /**
   * Loads and attaches the program. Whatever was made before a failure is closed again.
   *
   * @throws PacketError NO_PRIVILEGE, MODE_UNSUPPORTED, INTERFACE_BUSY (another program is attached), NO_INTERFACE, SYSTEM_CALL
   */
  static attach(calls: SystemCalls, device: LinuxInterface, attachMode: AttachMode, segments: boolean): XdpProgram {
    const map = LinuxMap.create(calls, socketMap(device.queues));
    let program = -1;
    try {
      program = loadSteering(calls, [], [], map, undefined, segments);
      return new XdpProgram(calls, attachMode, segments, map, new XdpLink(calls, program, device, attachMode));
    } catch (error) {
      map.close();
      throw error;
    } finally {
      if (program >= 0) calls.close(program); // the link holds it
    }
  }

  /**
   * Sends packets of a queue to a bound socket, from now on those and no others. The rules come first: no packet that they leave to
   * the stack goes to the socket. When it fails, everything is as it was. The kernel takes the map's entry out when the socket is closed.
   *
   * @throws PacketError FLOW_TABLE_FULL (too many rules), NO_INTERFACE, NO_PRIVILEGE, SYSTEM_CALL
   */
  connect(queue: number, socket: number, receive: QueueReceive): void {
    const before = this.#queues.get(queue);
    this.#queues.set(queue, receive);
    try {
      if ((this.#compiled.get(queue) ?? 'all') !== nameOf(receive)) this.#compile();
      if (before !== undefined) return;
      this.#drops?.reset(queue);
      enterSocket(this.#map, queue, socket);
    } catch (error) {
      if (before === undefined) this.#queues.delete(queue);
      else this.#queues.set(queue, before);
      throw error;
    }
  }

  /** Sends the packets of a queue to the stack again. Idempotent. */
  disconnect(queue: number): void {
    if (this.#queues.delete(queue)) removeSocket(this.#map, queue);
  }

  /** Packets that rules have dropped since the queue got its socket. */
  ruleDrops(queue: number): number {
    return this.#drops?.of(queue) ?? 0;
  }

  /** Puts a program with the rules of all queues in the place of the one that is attached. */
  #compile(): void {
    const rules = new Map<string, QueueRules & { queues: number[] }>();
    const filters = new Map<string, QueueFilter & { queues: number[] }>();
    const compiled = new Map<number, string>();
    for (const [queue, receive] of this.#queues) {
      if (receive === 'all') continue;
      const name = nameOf(receive);
      compiled.set(queue, name);
      const list = rules.get(name) ?? filters.get(name);
      if (list !== undefined) list.queues.push(queue);
      else if (isFiltered(receive)) filters.set(name, { queues: [queue], filter: compileFilter(receive) });
      else rules.set(name, { queues: [queue], rules: receive });
    }
    const lists = [[...rules.values()], [...filters.values()]] as const;
    if (lists[0].some((list) => list.rules.some(({ to }) => to === 'drop'))) {
      this.#drops ??= new RuleDrops(this.#calls, this.#map.definition.maxEntries);
    }
    const program = loadSteering(this.#calls, ...lists, this.#map, this.#drops, this.segments);
    try {
      this.#link.update(program, 'change the rules');
    } finally {
      this.#calls.close(program); // the link holds it
    }
    this.#compiled = compiled;
  }

  /** One more socket feeds on this program. */
  share(): this {
    this.#users++;
    return this;
  }

  /** One socket fewer, that of this queue. @returns whether that was the last one, and the program is detached */
  release(queue: number): boolean {
    this.#queues.delete(queue);
    if (--this.#users > 0) return false;
    this.#link.close();
    this.#map.close();
    this.#drops?.close();
    return true;
  }
}

/** XDP programs see tags in the packet. */
function compileFilter({ filter }: FilteredPackets): ClassicInstruction[] {
  return compileExpression(filter, { link: 'ethernet', tagMayBeBeside: false });
}

/** Equal for equal rules, and for equal expressions. */
function nameOf(receive: QueueReceive): string {
  return receive === 'all' ? receive : JSON.stringify(receive);
}

/** The programs that this kernel has attached, by interface index; sockets of one interface share one. */
export class XdpPrograms {
  readonly #calls: SystemCalls;
  readonly #attached = new Map<number, XdpProgram>();
  readonly #resets = new LinkResets();

  constructor(calls: SystemCalls) {
    this.#calls = calls;
  }

  /** The interface's program, attached if need be. Every `acquire` wants one `release`. */
  acquire(device: LinuxInterface, attachMode: AttachMode, segments: boolean): XdpProgram {
    const present = this.#attached.get(device.index);
    if (present === undefined) {
      this.#resets.expect(device);
      const program = XdpProgram.attach(this.#calls, device, attachMode, segments);
      this.#attached.set(device.index, program);
      return program;
    }
    if (present.attachMode !== attachMode) {
      throw new PacketError(
        'MODE_UNSUPPORTED',
        `${device.name} runs its XDP program in ${present.attachMode} mode for other sockets, and cannot in ${attachMode} mode, too`,
        { remedy: 'open all sockets of the interface in the same kind of mode' },
      );
    }
    if (segments && !present.segments) {
      throw new PacketError(
        'MODE_UNSUPPORTED',
        `${device.name} runs an XDP program for other sockets that takes no packets of several frames`,
        {
          remedy: 'open the socket that asks for segments first, or all sockets of the interface with segments',
        },
      );
    }
    return present.share();
  }

  release(device: LinuxInterface, program: XdpProgram, queue: number): void {
    this.#resets.expect(device);
    if (program.release(queue) && this.#attached.get(device.index) === program) this.#attached.delete(device.index);
  }

  /** Waits until the link is up again, where a change of the program has reset it; for a bounded time. */
  settled(device: LinuxInterface): Promise<void> {
    return this.#resets.settled(device);
  }
}

function socketMap(queues: number): MapDefinition {
  return { name: 'tp4_sockets', type: 'xskmap', keySize: 4, valueSize: 4, maxEntries: queues, flags: 0 };
}

/**
 * Loads the program for the rules and filters of some queues, whose first map is that of the sockets.
 *
 * @param drops where it counts what rules drop
 * @returns its descriptor
 * @throws PacketError FLOW_TABLE_FULL where the verifier finds it too large, NO_PRIVILEGE, SYSTEM_CALL
 */
function loadSteering(
  calls: SystemCalls,
  rules: readonly QueueRules[],
  filters: readonly QueueFilter[],
  map: LinuxMap,
  drops: RuleDrops | undefined,
  segments: boolean,
): number {
  const own = drops === undefined ? [map] : [map, drops.map];
  const { code, tables } = codeForQueues(rules, filters, own.length);
  const instructions = xdpProgram(code, xdpRedirect(0), drops && xdpCountedDrop(1));
  const maps = own.map(({ definition }) => definition);
  if (tables.length > 0) maps.push(tableMap(tables));
  const program = createProgram(instructions, { name: 'tp4_redirect', maps, segments });
  let filled: LinuxMap | undefined;
  try {
    if (tables.length > 0) filled = fillTables(calls, tables);
    return loadProgram(
      calls,
      program,
      [...own, ...(filled ? [filled] : [])].map(({ handle }) => handle),
    );
  } catch (error) {
    if (!(error instanceof ProgramRefusal && isTooLarge(error))) throw error;
    throw new PacketError(
      'FLOW_TABLE_FULL',
      `receive: the kernel's verifier follows at most ${MOST_SLOTS} instructions and 8192 jumps in a row, and the rules come to more`,
      {
        syscall: 'bpf BPF_PROG_LOAD',
        ...(error.errno !== undefined && { errno: error.errno }),
        cause: error,
        remedy:
          "use fewer rules, with address prefixes and port ranges, or receive: 'all' and pick the packets in the program",
      },
    );
  } finally {
    filled?.close(); // the program holds it
  }
}

/** Whether it is the limits of the verifier that the program meets; no other refusal of this program can be. */
function isTooLarge({ errno, message }: ProgramRefusal): boolean {
  return errno === undefined || errno === E2BIG || message.includes('too complex');
}
