import { BPF_OBJ_NAME_LEN } from '../constants.js';

/** A name as the kernel takes it of programs and maps: at most 15 letters, digits, dots and underscores. What is none becomes one. */
export function kernelName(name: string): string {
  return name.replace(/[^A-Za-z0-9_.]/g, '_').slice(0, BPF_OBJ_NAME_LEN - 1);
}
