import { type Known, known, unknown } from '../../kernel/answer.js';
import { BPF_OBJ_GET_INFO_BY_FD, BPF_PROG_GET_FD_BY_ID, ENOENT, EPERM } from '../constants.js';
import { Struct } from '../struct.js';
import { errnoName } from '../system-call-error.js';
import type { SystemCalls } from '../system-calls.js';

/** The name that a loaded BPF program was given, which may be "". */
export function programName(calls: SystemCalls, id: number): Known<string> {
  const descriptor = calls.bpf(BPF_PROG_GET_FD_BY_ID, new Struct(12).u32(0, id));
  if (descriptor === -EPERM) return unknown('asking for its name needs CAP_SYS_ADMIN');
  if (descriptor === -ENOENT) return unknown('it is gone');
  if (descriptor < 0) return unknown(`bpf BPF_PROG_GET_FD_BY_ID: ${errnoName(-descriptor)}`);
  try {
    const info = new Struct(80); // struct bpf_prog_info up to the name, which is at 64
    const request = new Struct(16).u32(0, descriptor).u32(4, info.length).pointer(8, info, calls.address(info));
    const result = calls.bpf(BPF_OBJ_GET_INFO_BY_FD, request);
    if (result < 0) return unknown(`bpf BPF_OBJ_GET_INFO_BY_FD: ${errnoName(-result)}`);
    return known(info.readText(64, 16));
  } finally {
    calls.close(descriptor);
  }
}
