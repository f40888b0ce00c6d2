import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** How the running kernel was built: CONFIG_ names without the prefix, "y" or "m". undefined where the distribution hides it. */
export function readKernelConfig(release: string, root = ''): ReadonlyMap<string, string> | undefined {
  const text = readPacked(`${root}/proc/config.gz`) ?? readPlain(`${root}/boot/config-${release}`);
  if (text === undefined) return undefined;
  return new Map(Array.from(text.matchAll(/^CONFIG_(\w+)=([ym])$/gm), ([, name, value]) => [name!, value!]));
}

function readPacked(file: string): string | undefined {
  try {
    return gunzipSync(readFileSync(file)).toString('latin1');
  } catch {
    return undefined;
  }
}

function readPlain(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}
