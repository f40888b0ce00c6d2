import { release } from 'node:os';
import { PacketError } from '../../errors.js';
import { readCapabilities } from '../capabilities.js';
import { describeDevice } from '../describe-device.js';
import { listInterfaces } from '../interfaces.js';
import { hasAfXdp } from '../mode-answers.js';
import { listXdpSockets } from '../netlink/xdp-sockets.js';
import { SystemCalls } from '../system-calls.js';
import { blocks, type Diagnosis, type Finding, fine, type InterfaceDiagnosis, unclear } from './contract.js';
import {
  checkLink,
  checkMerging,
  checkModes,
  checkMtu,
  checkPromiscuity,
  checkQueues,
  checkVeth,
} from './interface-checks.js';
import { readKernelConfig } from './kernel-config.js';
import {
  checkAfXdp,
  checkCapabilities,
  checkJit,
  checkJournal,
  checkKernel,
  checkLockedMemory,
  checkNamespace,
  checkNode,
  checkUnprivilegedBpf,
} from './machine-checks.js';
import { checkPrograms, checkSockets } from './occupation-checks.js';
import { checkSession } from './session-check.js';

/**
 * Finds out what stands in the way of packet sockets, on this machine and on an interface of this network namespace. Changes nothing.
 *
 * @param name without one the interfaces are listed with their modes, and not examined
 * @throws PacketError NO_INTERFACE
 */
export async function diagnose(name?: string): Promise<Diagnosis> {
  const calls = await loadCalls();
  if (calls instanceof PacketError) {
    const machine = [checkNode(), blocks('system-calls', calls.message, calls.remedy)];
    return { clear: false, machine, interfaces: [] };
  }
  const machine = examineMachine(calls);
  const interfaces = name === undefined ? list(calls) : [examineInterface(calls, name)];
  const findings = [...machine, ...interfaces.flatMap((one) => one.findings)];
  return { clear: findings.every(({ severity }) => severity !== 'blocks'), machine, interfaces };
}

/** Without them there is nothing to find out: not on Linux, an unknown machine, or koffi does not load. */
async function loadCalls(): Promise<SystemCalls | PacketError> {
  try {
    return await SystemCalls.load();
  } catch (error) {
    if (error instanceof PacketError) return error;
    throw error;
  }
}

function examineMachine(calls: SystemCalls): Finding[] {
  const config = readKernelConfig(release());
  const capabilities = readCapabilities();
  return [
    checkNode(),
    fine('system-calls', 'koffi loads'),
    checkKernel(release()),
    checkAfXdp(hasAfXdp(calls), config),
    checkJit(config),
    checkUnprivilegedBpf(),
    checkCapabilities(capabilities),
    checkLockedMemory(capabilities),
    checkNamespace(),
    checkJournal(),
  ];
}

function list(calls: SystemCalls): InterfaceDiagnosis[] {
  return listInterfaces(calls).flatMap(({ name }) => {
    try {
      return [{ name, findings: [], modes: describeDevice(calls, name).report.modes }];
    } catch (error) {
      if (error instanceof PacketError && error.code === 'NO_INTERFACE') return []; // it vanished since
      throw error;
    }
  });
}

function examineInterface(calls: SystemCalls, name: string): InterfaceDiagnosis {
  const { report, link } = describeDevice(calls, name);
  const findings = [
    checkLink(report, link.known ? link.value.kind : undefined),
    checkMtu(report),
    checkQueues(report),
    ...checkPrograms(report),
    ...checkSockets(report, listXdpSockets(calls)),
    checkPromiscuity(report),
    checkMerging(report),
    ...(link.known ? checkVeth(report, link.value) : [unclear('link-kind', link.why)]),
    checkSession(name),
    checkModes(report),
  ];
  return { name, findings, modes: report.modes };
}
