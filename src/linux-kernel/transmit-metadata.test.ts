import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../kernel/answer.js';
import type { TransmitMetadata } from '../kernel/contract.js';
import type { XdpFeatures } from '../kernel/device-report.js';
import type { LinuxInterface } from './interfaces.js';
import { checkTransmitMetadata, wantsMetadata } from './transmit-metadata.js';

const device: LinuxInterface = {
  ...{ name: 'eth7', index: 7, driver: 'igc', queues: 4, receiveQueues: 4, transmitQueues: 4 },
  ...{ mtu: 1500, up: true, mac: '', modes: [], zeroCopy: true },
};
const nothing: TransmitMetadata = { checksums: false, timestamps: false, launchTimes: false };
const can = (...transmitMetadata: string[]) =>
  known<XdpFeatures>({
    ...{ native: true, redirect: true, transmitRedirected: true, zeroCopy: true, hardwareOffload: false },
    ...{ receiveSegments: true, transmitRedirectedSegments: true, receiveMetadata: [], transmitMetadata },
  });

test('a driver that can do it all is asked for all', () => {
  const all = { checksums: true, timestamps: true, launchTimes: true };
  const features = can('timestamp', 'checksum', 'launch-time');
  assert.equal(checkTransmitMetadata(all, device, 'xdp-zc', features), 'device');
  assert.equal(checkTransmitMetadata(all, device, 'xdp-copy', features), 'kernel');
  assert.equal(checkTransmitMetadata(nothing, device, 'xdp-zc', features), undefined);
  assert.deepEqual([wantsMetadata(all), wantsMetadata(nothing)], [true, false]);
});

test('in zero-copy mode the driver must be able to; in copy mode the kernel is, but for launch times', () => {
  const cases = [
    ['checksums', 'checksum', /transmitChecksums on eth7: the driver igc fills in no checksums/],
    ['timestamps', 'timestamp', /transmitTimestamps on eth7: the driver igc does not tell/],
    ['launchTimes', 'launch-time', /launchTimes on eth7: the driver igc has no launch times/],
  ] as const;
  for (const [wish, ability, message] of cases) {
    const wanted = { ...nothing, [wish]: true };
    const others = cases.map(([, one]) => one).filter((one) => one !== ability);
    const error = { code: 'MODE_UNSUPPORTED', message };
    assert.throws(() => checkTransmitMetadata(wanted, device, 'xdp-zc', can(...others)), error);
    assert.doesNotThrow(() => checkTransmitMetadata(wanted, device, 'xdp-zc', can(ability)));
    for (const mode of ['xdp-copy', 'xdp-generic'] as const) {
      if (wish === 'launchTimes') assert.throws(() => checkTransmitMetadata(wanted, device, mode, can()), error);
      else assert.doesNotThrow(() => checkTransmitMetadata(wanted, device, mode, can()));
    }
  }
});

test('where the kernel cannot fill in checksums in copy mode, none are promised', () => {
  const virtio = { ...device, driver: 'virtio_net' };
  const wanted = { ...nothing, checksums: true };
  for (const mode of ['xdp-zc', 'xdp-copy', 'xdp-generic'] as const) {
    assert.throws(() => checkTransmitMetadata(wanted, virtio, mode, can()), {
      ...{ code: 'MODE_UNSUPPORTED', remedy: 'open the socket without transmitChecksums' },
    });
  }
});

test('where the kernel does not tell, it is refused with its reason', () => {
  assert.throws(
    () => checkTransmitMetadata({ ...nothing, launchTimes: true }, device, 'xdp-copy', unknown('too old')),
    {
      code: 'MODE_UNSUPPORTED',
      message: /too old/,
    },
  );
});
