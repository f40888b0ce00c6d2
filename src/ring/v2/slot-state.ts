// Who has a slot of a TX ring, as its user side keeps it outside the arena.

/** Nobody: it can be allocated or copied into. */
export const FREE = 0;
/** The application: from `allocate`, or from `completions`. */
export const HELD = 1;
/** Sent, and waits for the slots before it. */
export const READY = 2;
/** Allocated and given back, while a slot behind it is held or ready. */
export const HOLE = 3;
/** Posted, and not back yet. */
export const KERNEL = 4;
