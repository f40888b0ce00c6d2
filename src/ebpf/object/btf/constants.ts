// The format of BTF and of its extension (linux/btf.h; Documentation/bpf/btf.rst, sections 2 and 4).

export const BTF_MAGIC = 0xeb9f;
/** The same, of a big-endian file. */
export const BTF_MAGIC_SWAPPED = 0x9feb;
export const BTF_VERSION = 1;
export const BTF_HEADER_BYTES = 24;
/** Bytes of a type without what follows it. */
export const BTF_TYPE_BYTES = 12;
/** Bytes of a variable's place (struct btf_var_secinfo). */
export const BTF_VARIABLE_BYTES = 12;

export const BTF_KIND_INT = 1;
export const BTF_KIND_PTR = 2;
export const BTF_KIND_ARRAY = 3;
export const BTF_KIND_STRUCT = 4;
export const BTF_KIND_UNION = 5;
export const BTF_KIND_ENUM = 6;
export const BTF_KIND_FWD = 7;
export const BTF_KIND_TYPEDEF = 8;
export const BTF_KIND_VOLATILE = 9;
export const BTF_KIND_CONST = 10;
export const BTF_KIND_RESTRICT = 11;
export const BTF_KIND_FUNC = 12;
export const BTF_KIND_FUNC_PROTO = 13;
export const BTF_KIND_VAR = 14;
export const BTF_KIND_DATASEC = 15;
export const BTF_KIND_FLOAT = 16;
export const BTF_KIND_DECL_TAG = 17;
export const BTF_KIND_TYPE_TAG = 18;
export const BTF_KIND_ENUM64 = 19;

// Encodings of whole numbers.
export const BTF_INT_SIGNED = 1;
export const BTF_INT_CHAR = 2;
export const BTF_INT_BOOL = 4;
