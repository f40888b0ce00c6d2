import type { MapContents } from '../ebpf/maps/contract.js';
import type { Program, ProgramObject } from '../ebpf/program.js';

/**
 * Programs of users in a kernel (K6): loading, attaching, their maps. The same object does the same in both kernels; sockets need none of
 * this, they bring a program of their own.
 */
export interface ProgramKernel {
  /**
   * Makes the maps of an object, and checks and loads its programs, all or none. Where a map is given under the name of one of the
   * object's, that one is used.
   *
   * @throws PacketError PROGRAM_REFUSED with the instruction, the source line where there is one, and why; MAP_UNSUPPORTED, NO_PRIVILEGE,
   *   ARENA_EXHAUSTED, SYSTEM_CALL
   */
  loadObject(object: ProgramObject, options?: LoadOptions): Promise<LoadedObject>;
  /**
   * Runs a program on every packet of an interface, until `detach`, the kernel's close, or the end of the process.
   *
   * @throws PacketError NO_INTERFACE, INTERFACE_BUSY (who is there already), MODE_UNSUPPORTED, NO_PRIVILEGE, SYSTEM_CALL
   */
  attachProgram(program: LoadedProgram, request: AttachRequest): Promise<ProgramAttachment>;
}

/** How an object is loaded. */
export interface LoadOptions {
  /** Maps to use in the place of the object's, by name: of another object, or pinned ones. They stay their owner's, and must be alike. */
  readonly maps?: Readonly<Record<string, MapContents>>;
  /** Programs to load, by name; all unless given. */
  readonly programs?: readonly string[];
  /**
   * Interface that programs are bound to which read hints (BPF_F_XDP_DEV_BOUND_ONLY; F11): they can be attached natively there, and nowhere
   * else, and cannot be entries of maps of programs. Needed for such programs; others are not bound.
   */
  readonly boundTo?: string;
}

/** An object in the kernel. */
export interface LoadedObject {
  /** In the order of the object, or of the names that were given. */
  readonly programs: readonly LoadedProgram[];
  /** The object's maps by name, and those that were given in their place. Close the object, not its maps. */
  readonly maps: ReadonlyMap<string, MapContents>;
  /** Gives back programs and maps. What is attached stays attached. Idempotent. */
  close(): void;
}

/** A program in the kernel, ready to be attached and to be named by entries of maps of programs. */
export interface LoadedProgram {
  /** What it was loaded from. */
  readonly program: Program;
  /** What an entry of a map of programs holds for it: 32 bits, little-endian. */
  readonly handle: number;
  /**
   * Runs it on a packet that no device has received.
   *
   * @param repeat times to run it, for measuring; the packet starts anew each time. Default 1
   * @throws PacketError INVALID_OPTION (a packet shorter than an Ethernet header, or too long), MODE_UNSUPPORTED (it is bound to an
   *   interface: there are no hints), SYSTEM_CALL
   */
  test(packet: Uint8Array, repeat?: number): TestRun;
}

/** What a run on a packet came to. */
export interface TestRun {
  /** XDP_ABORTED to XDP_REDIRECT, or whatever else the program returned. */
  readonly verdict: number;
  /** The packet as the program left it. */
  readonly packet: Uint8Array;
  /** Nanoseconds of one run, on average. */
  readonly nanoseconds: number;
}

/**
 * Where a program meets packets: `native` in the driver, at the flush of its packet array; `generic` behind it, where packets have been
 * copied for the stack; `egress` where packets leave (D1; the soft kernel only).
 */
export type ProgramHook = 'native' | 'generic' | 'egress';

/** What a program is attached to. */
export interface AttachRequest {
  /** Name of the interface. */
  readonly interface: string;
  /** Where on the way of its packets. */
  readonly hook: ProgramHook;
}

/** A program at work. */
export interface ProgramAttachment {
  /** Name of the interface. */
  readonly interface: string;
  /** Where on the way of its packets. */
  readonly hook: ProgramHook;
  /** Puts another program in its place: each packet meets either the one or the other. @throws PacketError NO_INTERFACE, SYSTEM_CALL */
  replace(program: LoadedProgram): Promise<void>;
  /** Ends it. Packets go their ordinary way again. Idempotent. */
  detach(): Promise<void>;
}
