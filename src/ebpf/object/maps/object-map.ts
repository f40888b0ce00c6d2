import type { MapDefinition } from '../../maps/contract.js';
import type { Section } from '../elf/elf-object.js';

/** A map with where the object's symbols find it. */
export interface ObjectMap {
  readonly definition: MapDefinition;
  readonly section: Section;
  /** Byte offset in its section: of definitions; 0 for global variables, which are all of it. */
  readonly offset: number;
  /** Bytes of its definition, or of the variables. */
  readonly size: number;
  /** Whether it has the section's global variables as its value. */
  readonly isData: boolean;
}
