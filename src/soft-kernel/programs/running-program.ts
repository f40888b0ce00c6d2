import type { Executable } from '../../ebpf/execution.js';
import type { ProgramHook } from '../../kernel/programs.js';
import type { Device } from '../device.js';
import { EgressProgram } from './egress-program.js';
import { ReceiveProgram } from './receive-program.js';
import type { Network } from './redirections.js';

/** A program at work at one of a device's hooks. */
export interface RunningProgram {
  /** Puts another in its place, from the next packets on. */
  replace(executable: Executable): void;
  /** Packets go their ordinary way again. */
  stop(): void;
}

/** Puts a program to work. @throws PacketError ARENA_EXHAUSTED */
export function startProgram(
  hook: ProgramHook,
  network: Network,
  device: Device,
  executable: Executable,
): RunningProgram {
  const counters = device.programs.countersOf(hook);
  if (hook === 'egress') {
    // One that was stopped may still have packets on their way, which come back through it.
    const draining = device.egress;
    if (draining === undefined) return new EgressProgram(network, device, counters, executable);
    draining.replace(executable);
    return draining;
  }
  const program = new ReceiveProgram(network, device, counters, executable);
  const set = (running: ReceiveProgram | undefined): void => {
    if (hook === 'native') device.driver.setReceiveHook(running);
    else device.core.setProgram(running);
  };
  set(program);
  return {
    replace(next) {
      program.replace(next);
      set(program); // whether hints are wanted may have changed
    },
    stop() {
      set(undefined);
      program.close();
    },
  };
}
