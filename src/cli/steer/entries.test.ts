import assert from 'node:assert/strict';
import { test } from 'node:test';
import { udpPacket } from '../../../test/support/packets.js';
import { StandInDirector, type StandInOptions } from '../../../test/support/stand-in-director.js';
import { addEntries, listEntries, removeEntries } from './entries.js';

/** A device that a machine need not have, and what the commands print of it. */
function device(options: StandInOptions = {}) {
  const director = new StandInDirector(options);
  const ethtool = <Result>(_name: string, work: (port: StandInDirector) => Result): Result => work(director);
  const printed = async (work: () => Promise<number>): Promise<string> => {
    const { write } = process.stdout;
    let text = '';
    process.stdout.write = (part: unknown) => {
      text += String(part);
      return true;
    };
    try {
      assert.equal(await work(), 0);
    } finally {
      process.stdout.write = write;
    }
    return text;
  };
  return {
    director,
    list: (json = false) => printed(() => listEntries('eth7', json, ethtool)),
    add: (...rules: string[]) => printed(() => addEntries('eth7', rules, false, false, ethtool)),
    remove: (...locations: string[]) => printed(() => removeEntries('eth7', locations, false, ethtool)),
  };
}

test('entries are added, shown and removed', async () => {
  const { director, add, list, remove } = device();
  assert.match(await list(), /^0 of 32 entries/);
  const text = await add('etherType=ipv4,protocol=udp,to=queue:2', 'etherType=ipv4,protocol=udp,port=53,to=drop');
  assert.equal(text.match(/^added /gm)?.length, 3);
  // The narrower ones decide, wherever they stood on the command line.
  const dns = udpPacket({ source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 1000, destinationPort: 53 });
  assert.equal(director.classify(dns), 'drop');
  // So does one that is added later.
  await add('protocol=udp,destinationPort=53,source=10.0.0.1,to=queue:3');
  assert.equal(director.classify(dns), 3);
  const shown = await list();
  assert.match(shown, /protocol=udp,source=10\.0\.0\.1,destinationPort=53 +queue 3\n/);
  assert.match(shown, /4 of 32 entries; the first that matches decides/);
  const { entries } = JSON.parse(await list(true)) as { entries: { location: number; to: unknown }[] };
  assert.deepEqual(entries[0]!.to, { queue: 3 });
  assert.match(await remove(String(entries[0]!.location)), /^removed \d+\n$/);
  assert.equal(director.classify(dns), 'drop');
  await remove('all');
  assert.equal(director.table.size, 0);
});

test('an addition works whole or not at all', async () => {
  const { director, add, remove } = device({ locations: 4, refuse: (spec) => (spec[0] === 1 ? 22 : 0) });
  await assert.rejects(add('protocol=udp,port=53'), { code: 'INVALID_OPTION', remedy: /to=queue:3 or to=drop/ });
  await assert.rejects(add('port=53,to=drop'), { code: 'FLOW_TABLE_FULL' });
  await assert.rejects(add('vlan=5,to=drop', 'protocol=tcp,source=10.0.0.1,to=drop'), {
    code: 'RULES_UNSUPPORTED',
    errno: 22,
  });
  assert.equal(director.table.size, 0);
  await add('vlan=5,to=drop');
  await assert.rejects(add('vlan=5,to=queue:1'), {
    code: 'RULES_UNSUPPORTED',
    message: /same packets/,
    remedy: /steer del/,
  });
  await assert.rejects(remove('3', '2'), { code: 'INVALID_OPTION', message: /has no entry/ });
  await assert.rejects(remove('all', '2'), { code: 'INVALID_OPTION', message: /"all"/ });
  assert.equal(director.table.size, 1);
});

test('entries that rules cannot say are shown with the reason', async () => {
  const { director, list } = device();
  const spec = new Uint8Array(168);
  spec[0] = 9; // AH_V4_FLOW
  spec[160] = 3;
  director.table.set(3, spec);
  assert.match(await list(), /^ *3 +\(its flow type is 0x9\) +queue 0$/m);
});
