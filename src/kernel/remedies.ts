// What both kernels advise, in the same words.

/** To whoever makes the contract's calls in another order. */
export const ORDER_OF_CALLS = 'the order is registerMemory, createRings, map, bind, and each once';

/** To whoever wants packets from a socket without a ring for them. */
export const SEND_ONLY_REMEDY = 'open a socket that receives: with rules, or with receive: all';
