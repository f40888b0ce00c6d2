import type { MapDefinition } from '../maps/contract.js';
import type { Program, ProgramObject, ProgramPlace } from '../program.js';

/** Value of a global variable: its bytes, little-endian, or of one with 1, 2, 4 or 8 bytes a whole number. */
export type VariableValue = Uint8Array | number | bigint;

/** How an object is read. */
export interface ReadObjectOptions {
  /**
   * Name of the object, which the names of its maps of global variables begin with (`NAME.rodata`): loaders take that of the file, without
   * what follows the first dot. By default `object`.
   */
  readonly name?: string;
  /** What sections of other names than `xdp…` have their programs for: `{ prog: 'xdp' }`. */
  readonly sections?: Readonly<Record<string, ProgramPlace>>;
  /** Global variables at the start, by their names; constants (`const volatile`), too: `{ limit: 100 }`. Others stay as compiled. */
  readonly variables?: Readonly<Record<string, VariableValue>>;
}

/** A program in the object that is not for XDP. */
export interface OtherProgram {
  /** Its first function. */
  readonly name: string;
  /** Section that it is in, which says what it is for: `fentry/…`, `classifier`. */
  readonly section: string;
}

/** An object file that has been read: plain data, and its programs and maps by name. */
export interface ObjectFile extends ProgramObject {
  /** Licence of all its programs: contents of the section `license`, or empty. */
  readonly license: string;
  /** Programs that are not for XDP. They are not read. */
  readonly otherPrograms: readonly OtherProgram[];
  /**
   * The program whose first function has this name, or which is the only one of the section of this name; without a name the only program
   * of the object.
   *
   * @throws PacketError INVALID_OPTION that says which programs there are; PROGRAM_UNSUPPORTED for one that is not for XDP
   */
  program(name?: string): Program;
  /**
   * The map of this name; global variables also by the name of their section, such as `.rodata`.
   *
   * @throws PacketError INVALID_OPTION that says which maps there are
   */
  map(name: string): MapDefinition;
}
