// Runs the tests: `npm test`, or `npm test -- PATTERN...` for those files whose path contains a pattern. Tests that need root or
// Linux skip with their reason where they cannot run; with TP4_REQUIRE_LINUX_TESTS=1 (CI) that is a failure.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const patterns = process.argv.slice(2);
const files = ['dist/src', 'dist/test', 'dist/bench', 'dist/examples']
  .flatMap((folder) => list(folder))
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
  .sort();
if (files.length === 0) {
  console.error('no test file matches; is the project built? (npm run build)');
  process.exit(1);
}
const { status } = spawnSync(process.execPath, ['--expose-gc', '--test', ...files], { stdio: 'inherit' });
process.exit(status ?? 1);

function list(folder) {
  try {
    return readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)));
  } catch {
    return [];
  }
}
