import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Arena } from '../arena/arena.js';
import { PcapWriter } from '../capture-file/pcap-writer.js';
import { PacketError } from '../errors.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { type InterfaceSpec, parseInterfaceSpec, type SoftInterface, softNic } from './interface-spec.js';

function soft(text: string): SoftInterface {
  const spec = parseInterfaceSpec(text);
  assert.equal(spec.kernel, 'soft');
  return spec as SoftInterface;
}

test('an ordinary name is an interface of the Linux kernel', () => {
  const expected: InterfaceSpec = { kernel: 'linux', name: 'eth0' };
  assert.deepEqual(parseInterfaceSpec('eth0'), expected);
  assert.deepEqual(parseInterfaceSpec('veth.7@x'), { kernel: 'linux', name: 'veth.7@x' });
});

test('generated traffic, plain and with options', () => {
  assert.deepEqual(soft('soft:generator').wire, { kind: 'generator' });
  assert.deepEqual(soft('soft:generator,size=64,packets=1024').wire, { kind: 'generator', size: 64, packets: 1024 });
  assert.deepEqual(soft('soft:generator,size=64+594+1518,rate=2.5e6,flows=16,burst=4,pattern=random,seed=7').wire, {
    kind: 'generator',
    size: [64, 594, 1518],
    packetsPerSecond: 2.5e6,
    flows: 16,
    burst: 4,
    pattern: 'random',
    seed: 7,
  });
});

test('options of the device itself', () => {
  const { nic } = soft('soft:none,queues=4,ring=256,mac=02:00:00:00:00:09,mtu=9000');
  assert.deepEqual(nic, { name: 'soft0', queues: 4, ring: 256, mac: '02:00:00:00:00:09', mtu: 9000 });
});

test('the MTU follows the largest size, unless it is given', async () => {
  const mtu = async (text: string) => (await softNic(soft(text))).mtu;
  assert.equal(await mtu('soft:generator'), 1500);
  assert.equal(await mtu('soft:generator,size=1518'), 1500);
  assert.equal(await mtu('soft:generator,size=64+9018'), 9000);
  assert.equal(await mtu('soft:generator,size=9018,mtu=1500'), 1500);
});

test('a capture; its file name may contain commas', () => {
  assert.deepEqual(soft('soft:pcap=a.pcap').wire, { kind: 'pcap', file: 'a.pcap', replay: {} });
  assert.deepEqual(soft('soft:pcap=/tmp/a, b,c.pcap,pace=recorded,speed=0.5,loop=forever').wire, {
    kind: 'pcap',
    file: '/tmp/a, b,c.pcap',
    replay: { pace: 'recorded', speed: 0.5, loop: true },
  });
  assert.deepEqual(soft('soft:pcap=x,loop=3,rate=1000,asEthernet=true').wire, {
    kind: 'pcap',
    file: 'x',
    replay: { loop: 3, packetsPerSecond: 1000, asEthernet: true },
  });
});

const WRONG: readonly (readonly [text: string, says: RegExp])[] = [
  ['soft', /says what it hangs on; soft:generator/],
  ['soft:', /"" is not a wire; soft:generator/],
  ['soft:generatr', /"generatr" is not a wire \(did you mean generator\?\)/],
  ['soft:pcap', /it names no file; soft:pcap=FILE/],
  ['soft:pcap=', /it names no file; soft:pcap=FILE/],
  ['soft:generator,size', /"size" is not of the form option=value/],
  ['soft:generator,size=', /"size=" is not of the form option=value/],
  ['soft:generator,size=12', /size: 12 is not a whole number from 64 to 16000/],
  ['soft:generator,size=64+', /size: {2}is not a whole number/],
  ['soft:generator,size=64,size=64', /size is given twice/],
  ['soft:generator,sze=64', /there is no option sze here \(did you mean size\?\); it may have .*size/],
  ['soft:generator,rate=0', /rate: 0 is not a number above 0 and at most 1e9/],
  ['soft:generator,rate=fast', /rate: fast is not a number/],
  ['soft:generator,pattern=noise', /pattern: noise is not one of count, zeros, random/],
  ['soft:none,size=64', /there is no option size here/],
  ['soft:none,queues=0', /queues: 0 is not a whole number from 1 to 4096/],
  ['soft:none,ring=100', /ring: 100 is not a power of two/],
  ['soft:pcap=a,loop=0', /loop: 0 is not/],
  ['soft:pcap=a,pace=slow', /pace: slow is not one of recorded, max/],
  ['not a name', /neither the name of an interface nor of a wire; veth0, or soft:generator/],
  ['a-name-that-is-too-long', /neither the name of an interface nor of a wire; veth0, or soft:generator/],
  ['', /neither the name of an interface nor of a wire; veth0, or soft:generator/],
];

for (const [text, says] of WRONG) {
  test(`refused: "${text}"`, () => {
    assert.throws(
      () => parseInterfaceSpec(text),
      (error: unknown) => {
        assert.ok(error instanceof PacketError);
        assert.equal(error.code, 'INVALID_OPTION');
        assert.match(`${error.message}; ${error.remedy}`, says);
        assert.ok(error.message.includes(`"${text}"`), error.message);
        return true;
      },
    );
  });
}

test('whatever the text, the answer is a spec or an INVALID_OPTION', () => {
  const parts = [
    'soft:',
    'generator',
    'pcap=',
    'none',
    ',',
    '=',
    'size',
    '64',
    '+',
    'rate',
    '1e9',
    'loop',
    '-1',
    'é',
    ' ',
    '\0',
    'queues',
  ];
  let state = 12345;
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let round = 0; round < 5000; round++) {
    const text = Array.from({ length: next(8) }, () => parts[next(parts.length)]).join('');
    try {
      parseInterfaceSpec(text);
    } catch (error) {
      assert.ok(
        error instanceof PacketError && error.code === 'INVALID_OPTION',
        `${JSON.stringify(text)}: ${String(error)}`,
      );
    }
  }
});

test('a capture decides the MTU by its longest packet, and warns of packets that do not fit', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tp4-'));
  try {
    const file = join(folder, 'long.pcap');
    for (const [length, mtu, warning] of [
      [60, 1500, undefined],
      [1514, 1500, undefined],
      [1600, 1770, undefined],
      [3000, 3818, /up to 3000 bytes, more than frames of 2048 bytes hold \(1792\): use frames of 4096/],
      [9014, 9000, /use frames of 16384, or segments: true/],
      [12000, 16000, /use frames of 16384/],
      [17000, 16000, /soft0 takes up to 16022: longer ones are lost/],
    ] as const) {
      const chunks: Uint8Array[] = [];
      const writer = new PcapWriter({ write: (chunk) => void chunks.push(chunk) });
      writer.write(new Uint8Array(length), 0, length, 1, length);
      writer.flush();
      writeFileSync(file, Buffer.concat(chunks));
      const nic = await softNic(soft(`soft:pcap=${file},pace=max`));
      assert.equal(nic.mtu, mtu, `${length} bytes`);
      await using kernel = new SoftKernel({ arena: Arena.create(2 ** 26) });
      const { warnings } = await kernel.addNic(nic);
      if (warning === undefined) assert.equal(warnings, undefined);
      else assert.match(warnings!.join(), warning);
      kernel.run(10);
      const { rx_packets, rx_oversize } = await kernel.deviceStatistics('soft0');
      assert.deepEqual([rx_packets, rx_oversize], length > 16022 ? [0, 1] : [1, 0]);
    }
    assert.equal((await softNic(soft(`soft:pcap=${file},mtu=1500`))).mtu, 1500);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
