import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { openCapture } from './open-capture.js';

// Captures of many programs that are not part of the project: a folder of them may be named, or lie beside the project.
const FOLDER = process.env.TP4_CAPTURES ?? join('..', 'shared', 'data', 'captures');
const OWN = 'captures';

const files = [FOLDER, OWN]
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((path) => /\.(pcap|pcapng)(\.gz)?$/.test(path));

const noFiles = files.length === 0 ? `no capture files in ${FOLDER} or ${OWN}` : false;
const noCapinfos = spawnSync('capinfos', ['--version']).error ? 'capinfos is not installed' : false;

/** What a file holds, in the words of `capinfos`. */
interface Summary {
  packets: number;
  bytesOnTheWire: number;
  earliest: string;
  latest: string;
}

function summarize(bytes: Uint8Array): Summary {
  const capture = openCapture(bytes);
  const packet = capture.packet;
  const summary = { packets: 0, bytesOnTheWire: 0, earliest: 'n/a', latest: 'n/a' };
  while (capture.next()) {
    assert.ok(packet.offset + packet.length <= bytes.length);
    assert.ok(packet.originalLength >= packet.length);
    const time = `${packet.seconds}.${String(packet.nanoseconds).padStart(9, '0')}`;
    if (summary.packets === 0 || Number(time) < Number(summary.earliest)) summary.earliest = time;
    if (summary.packets === 0 || Number(time) > Number(summary.latest)) summary.latest = time;
    summary.packets++;
    summary.bytesOnTheWire += packet.originalLength;
  }
  assert.equal(capture.ended, true);
  return summary;
}

const load = (path: string): Uint8Array => (path.endsWith('.gz') ? gunzipSync(readFileSync(path)) : readFileSync(path));

test('files of other programs are read to their end', { skip: noFiles }, () => {
  for (const path of files) summarize(load(path));
});

test('Wireshark counts the same packets, bytes and times in them', { skip: noFiles || noCapinfos }, () => {
  const output = execFileSync('capinfos', ['-T', '-m', '-Q', '-r', '-c', '-d', '-a', '-e', '-S', ...files], {
    encoding: 'utf8',
  });
  const lines = output.trim().split('\n');
  assert.equal(lines.length, files.length);
  for (const [index, line] of lines.entries()) {
    const [path, packets, bytesOnTheWire, earliest, latest] = (JSON.parse(`[${line}]`) as string[]).map(String);
    assert.equal(basename(path!), basename(files[index]!));
    const summary = summarize(load(files[index]!));
    const expected = {
      packets: Number(packets),
      bytesOnTheWire: Number(bytesOnTheWire),
      earliest: allDigits(earliest!),
      latest: allDigits(latest!),
    };
    assert.deepEqual(summary, expected, path);
  }
});

/** "1.5" as "1.500000000". */
function allDigits(time: string): string {
  const [seconds, fraction] = time.split('.');
  return fraction === undefined ? time : `${seconds}.${fraction.padEnd(9, '0')}`;
}
