// What maps and helpers return, negative, when they refuse (asm-generic/errno-base.h).
export const ENOENT = 2;
export const E2BIG = 7;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENOSPC = 28;
export const ERANGE = 34;
/** The device has no such hint for the packet. */
export const ENODATA = 61;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
