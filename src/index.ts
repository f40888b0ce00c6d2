/**
 * The packet interface of the talk "AF_PACKET V4 and PACKET_ZEROCOPY" in TypeScript: sockets that move packets in batches,
 * through descriptor rings over a registered packet buffer, on a soft kernel in process or on the interfaces of a Linux machine.
 *
 * @module tpacket4
 */

export { describeDevices } from './host/devices.js';
export {
  type InterfaceSpec,
  type LinuxInterface,
  parseInterfaceSpec,
  type ReplaySettings,
  type SoftInterface,
  type SoftWire,
  softNic,
} from './host/interface-spec.js';
export { adoptLinuxBuffer, createLinuxBuffer, type LinuxBufferOptions } from './host/linux-buffer.js';
export { nodeThreads } from './host/node-threads.js';
export { type OpenQueuesOptions, openQueues } from './host/open-queues.js';
export { type OpenSocketOptions, openSocket } from './host/open-socket.js';
export { readCapture } from './host/read-capture.js';
export { type ReadProgramsOptions, readPrograms } from './host/read-programs.js';
export {
  type QueueContext,
  type QueueCounters,
  type QueueProgram,
  RunningQueues,
  type RunQueuesOptions,
  runQueues,
} from './host/run-queues.js';
export type { Answer, Known } from './kernel/answer.js';
export {
  type AttachedMode,
  type AttachedProgram,
  type DeviceReport,
  type ModeAnswer,
  OFFLOAD_NAMES,
  type OffloadName,
  type Offloads,
  type QueueCounts,
  type RingSizes,
  type XdpFeatures,
} from './kernel/device-report.js';
export type { Diagnosis, Finding, InterfaceDiagnosis } from './linux-kernel/doctor/contract.js';
export { diagnose } from './linux-kernel/doctor/diagnose.js';
export type { Change } from './linux-kernel/journal.js';
export { LinuxKernel, type LinuxKernelOptions } from './linux-kernel/linux-kernel.js';
export type { NapiOptions } from './linux-kernel/napi-settings.js';
export { ProgramRefusal } from './linux-kernel/programs/program-refusal.js';
export type { RecordReader } from './linux-kernel/programs/record-reader.js';
export { type Repair, type RepairReport, repair } from './linux-kernel/repair.js';
export * from './soft.js';
