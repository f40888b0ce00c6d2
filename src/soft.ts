/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Everything that runs anywhere, browsers included: the soft kernel, packet sockets, batches, captures, packets. `tpacket4` itself
 * adds what needs Node: threads, files, the Linux kernel.
 *
 * @module tpacket4/soft
 */

// Opening sockets, and what they work with
export { Arena, type ArenaMemory, type ArenaShare, type Region } from './arena/arena.js';
export type { PageKind } from './arena/page-source.js';
// Capture files
export {
  type CaptureInterface,
  type CapturePacket,
  type CaptureReader,
  LINKTYPE_ETHERNET,
  LINKTYPE_LINUX_SLL,
  LINKTYPE_LINUX_SLL2,
  LINKTYPE_RAW,
} from './capture-file/contract.js';
export { CaptureStream, openCapture } from './capture-file/open-capture.js';
export { type ChunkSink, PcapWriter, type PcapWriterOptions } from './capture-file/pcap-writer.js';
// eBPF programs and their maps
export type { Instruction } from './ebpf/instruction.js';
export {
  type InitialEntry,
  MAP_TYPES,
  type MapContents,
  type MapDefinition,
  type MapType,
} from './ebpf/maps/contract.js';
export type { BoundProgram, Program, ProgramObject, ProgramPlace, SourceLine, Subprogram } from './ebpf/program.js';
// What goes wrong
export { type ErrorCode, type ErrorFacts, PacketError, type PacketErrorData } from './errors.js';
// The kernel contract
export {
  type Binding,
  type BindRequest,
  type BlockingWaitOptions,
  type BusyPoll,
  type BusyPollRequest,
  type DataPathShare,
  type Direction,
  DROP_PLACES,
  type DropPlace,
  type Fanout,
  type FanoutFlag,
  type FanoutType,
  type InterfaceInfo,
  type Kernel,
  type KernelSocket,
  type KernelStatistics,
  type MemoryRegistration,
  type Mode,
  type PacketVersion,
  type RingMap,
  type RingRequest,
  type SocketMaps,
  type TransmitMetadata,
  type WaitOptions,
} from './kernel/contract.js';
// Programs of users in a kernel
export type {
  AttachRequest,
  LoadedObject,
  LoadedProgram,
  LoadOptions,
  ProgramAttachment,
  ProgramHook,
  ProgramKernel,
  TestRun,
} from './kernel/programs.js';
export { MICROSOFT_RSS_KEY, type RssOptions, SYMMETRIC_RSS_KEY } from './nic/rss.js';
export type { InterruptModeration } from './nic/soft-nic.js';
// Packets
export {
  type PacketOptions,
  type TcpPacketOptions,
  type UdpPacketOptions,
  writeTcpPacket,
  writeUdpPacket,
} from './packet/build-packet.js';
export type { VlanTag } from './packet/ethernet.js';
export {
  formatIpAddress,
  type IpAddress,
  type IpPrefix,
  parseIpAddress,
  parseIpPrefix,
  readIpAddress,
} from './packet/ip-address.js';
export { formatMacAddress, type MacAddress, parseMacAddress } from './packet/mac-address.js';
export type { PayloadPattern } from './packet/payload.js';
export { TCP_ACK, TCP_CWR, TCP_ECE, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG } from './packet/tcp.js';
// Packet arrays: to study them, and for drivers and rings of one's own
export { FrameSet } from './packet-array/frame-set.js';
export * as packetArray from './packet-array/packet-array.js';
export type { FramePurpose } from './packet-buffer/frame-pool.js';
export { PacketBuffer, type PacketBufferOptions, type PacketBufferShare } from './packet-buffer/packet-buffer.js';
export {
  type OwnershipCall,
  type OwnershipCallSite,
  OwnershipChecker,
  type OwnershipViolation,
  type OwnershipViolationKind,
} from './ring/ownership-checker.js';
export {
  OUTCOME_SENT,
  OUTCOME_UNKNOWN,
  PACKET_CHECKSUM_NOT_READY,
  PACKET_CONTINUES,
  PACKET_TRUNCATED,
  PacketBatch,
} from './ring/packet-batch.js';
export { type PacketOrigin, RingCounters, type SocketRings } from './ring/socket-rings.js';
export { type OpenQueuesOptions, openQueues, QueueSockets, type QueueStatistics } from './socket/open-queues.js';
export { isExclusive, LADDER, type OpenSocketOptions, openSocket } from './socket/open-socket.js';
export {
  type Packet,
  PacketSocket,
  type RefusedMode,
  type SocketMode,
  type SocketStatistics,
} from './socket/packet-socket.js';
export type { SocketWaitOptions } from './socket/wait-options.js';
export { type Clock, HostClock, VirtualClock } from './soft-kernel/clock.js';
export type { NicOptions } from './soft-kernel/nic-options.js';
export { SoftKernel, type SoftKernelOptions } from './soft-kernel/soft-kernel.js';
export type { SoftSystem, StackStatistics } from './soft-kernel/system.js';
export { JoinedSoftKernel } from './soft-kernel/thread/joined-kernel.js';
export { KernelClient } from './soft-kernel/thread/kernel-client.js';
export { serveKernel } from './soft-kernel/thread/kernel-server.js';
export type {
  HostMessagePort,
  KernelShare,
  KernelThread,
  ThreadHost,
  ThreadPort,
} from './soft-kernel/thread/protocol.js';
export { ThreadedSoftKernel, type ThreadedSoftKernelOptions } from './soft-kernel/thread/threaded-kernel.js';
export type { VethOptions } from './soft-kernel/veth-options.js';
// What a socket receives
export type {
  FilteredPackets,
  FlowRule,
  Ports,
  Receive,
  RedirectedPackets,
  RuleTarget,
  SteeredPackets,
} from './steering/rules.js';
// What soft devices hang on
export type { FaultOptions } from './wire/fault-options.js';
export type { GeneratorOptions } from './wire/generator.js';
export type { NoWireOptions, RecordOptions, WireOptions } from './wire/options.js';
export type { PatchOptions } from './wire/patch.js';
export type { ReplayOptions } from './wire/replay.js';
export { flowAddress, type TrafficOptions } from './wire/traffic.js';
