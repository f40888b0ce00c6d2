// What maps and helpers return, negative, when they refuse (asm-generic/errno-base.h).
export const ENOENT = 2;
export const E2BIG = 7;
export const EACCES = 13;
export const EFAULT = 14;
export const EEXIST = 17;
export const EINVAL = 22;
