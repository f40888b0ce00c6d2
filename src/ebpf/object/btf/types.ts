/*
 * The types of BTF (linux/btf.h; Documentation/bpf/btf.rst), under the words that bpftool prints. A type is named by its number, from 1;
 * 0 is `void`. Sizes are in bytes unless they say bits.
 */

interface Named {
  /** Its number. */
  readonly id: number;
  /** Empty for what has no name. */
  readonly name: string;
}

/** `void`: no type, or none known. */
export interface VoidType extends Named {
  readonly kind: 'void';
}

/** A whole number. */
export interface IntType extends Named {
  readonly kind: 'int';
  readonly size: number;
  /** Bits that count, of `size` bytes. */
  readonly bits: number;
  /** First of the bits, for bit fields of old compilers. */
  readonly bitOffset: number;
  readonly isSigned: boolean;
  readonly isCharacter: boolean;
  readonly isBoolean: boolean;
}

/** A floating-point number of 2, 4, 8, 12 or 16 bytes. */
export interface FloatType extends Named {
  readonly kind: 'float';
  readonly size: number;
}

/** What refers to one other type: pointers, other names for a type, and what is said about one. */
export interface ReferenceType extends Named {
  readonly kind: 'ptr' | 'typedef' | 'volatile' | 'const' | 'restrict' | 'type_tag';
  readonly type: number;
}

/** An array; 0 elements where their number is left open. */
export interface ArrayType extends Named {
  readonly kind: 'array';
  readonly element: number;
  readonly length: number;
}

/** A member of a structure or union. */
export interface Member {
  /** Empty for structures and unions within, whose members count as the outer one's. */
  readonly name: string;
  readonly type: number;
  /** From the start of the structure. */
  readonly bitOffset: number;
  /** Bits of a bit field, 0 for any other member. */
  readonly bits: number;
}

/** A structure or union. */
export interface CompositeType extends Named {
  readonly kind: 'struct' | 'union';
  readonly size: number;
  readonly members: readonly Member[];
}

/** Numbers with names. */
export interface EnumType extends Named {
  readonly kind: 'enum' | 'enum64';
  readonly size: number;
  readonly isSigned: boolean;
  readonly values: readonly { readonly name: string; readonly value: bigint }[];
}

/** A structure or union that is declared only. */
export interface ForwardType extends Named {
  readonly kind: 'fwd';
  readonly of: 'struct' | 'union';
}

/** Where functions and variables can be seen from; `extern` are those that the object declares only. */
export type Linkage = 'static' | 'global' | 'extern';

/** A function; `type` is its FunctionPrototype. */
export interface FunctionType extends Named {
  readonly kind: 'func';
  readonly type: number;
  readonly linkage: Linkage;
}

/** What a function takes and returns. */
export interface FunctionPrototype extends Named {
  readonly kind: 'func_proto';
  readonly returns: number;
  /** The last one is `void` without a name where the number of parameters is open. */
  readonly parameters: readonly { readonly name: string; readonly type: number }[];
}

/** A global variable. */
export interface VariableType extends Named {
  readonly kind: 'var';
  readonly type: number;
  readonly linkage: Linkage;
}

/** A variable's place in its section. */
export interface SectionVariable {
  /** Its VariableType; of externals also a FunctionType. */
  readonly type: number;
  /** Byte offset in the section. */
  readonly offset: number;
  readonly size: number;
}

/** The variables of a section of the object, of the same name. */
export interface DataSection extends Named {
  readonly kind: 'datasec';
  /** 0 in what compilers write. */
  readonly size: number;
  readonly variables: readonly SectionVariable[];
}

/** Something said about a type, a member or a parameter (`component`; -1 for the whole). */
export interface DeclarationTag extends Named {
  readonly kind: 'decl_tag';
  readonly type: number;
  readonly component: number;
}

/** A type of BTF. */
export type BtfType =
  | VoidType
  | IntType
  | FloatType
  | ReferenceType
  | ArrayType
  | CompositeType
  | EnumType
  | ForwardType
  | FunctionType
  | FunctionPrototype
  | VariableType
  | DataSection
  | DeclarationTag;
