// Debian packages for the virtual machine: fetched with apt-get into a cache folder, checked by apt as ever, and unpacked there.
// Nothing is installed; the system's own configuration and lists are read and left alone.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Programs that fetching, unpacking and running need, with the Debian package of each. */
const TOOLS = { 'apt-get': 'apt', dpkg: 'dpkg', ldd: 'libc-bin', setpriv: 'util-linux', xz: 'xz-utils' };

/** Suites with kernels newer than a stable Debian's, newest last. */
const KERNEL_SUITES = ['trixie-backports', 'forky', 'sid'];

/** Longest run of apt-get. */
const APT_MILLISECONDS = 600_000;

/** Keys that sign Debian's lists, of the package debian-archive-keyring. */
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** A reason why the virtual machine cannot be made here. */
export class CannotRun extends Error {}

/** @throws CannotRun what is missing, and how to get it */
export function checkTools() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new CannotRun(`the virtual machine is for Linux on x64, this is ${process.platform} on ${process.arch}`);
  }
  const missing = Object.keys(TOOLS).filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
  if (missing.length === 0) return;
  const packages = missing.map((tool) => TOOLS[tool]).join(' ');
  throw new CannotRun(`needs ${missing.join(', ')} (on Debian: apt-get install ${packages})`);
}

/** Packages of Debian, in a cache folder. */
export class Packages {
  #cache;
  #codename;
  /** What apt said when not all lists could be read. */
  #trouble = '';

  /** @param cache folder that is kept between runs */
  constructor(cache) {
    this.#cache = cache;
    const system = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
    this.#codename = /^VERSION_CODENAME=(\w+)$/m.exec(system)?.[1] ?? '';
  }

  /**
   * QEMU with its libraries, and a static busybox. The igb card came with QEMU 8.0, which Debian 12 has in its backports.
   *
   * @returns the folder that stands for "/"
   */
  machine() {
    return this.#once('machine', (folder) => {
      const backports = `${this.#codename}-backports`;
      this.#update([backports]);
      const names = ['qemu-system-x86', 'qemu-system-common', 'qemu-system-data', 'seabios'];
      const install = ['-y', '--no-install-recommends', '--download-only', '--reinstall', 'install', 'busybox-static'];
      try {
        this.#apt([...install, ...names.map((name) => `${name}/${backports}`)]);
      } catch {
        this.#apt([...install, ...names]); // no backports (any more): this Debian's own
      }
      for (const file of list(this.#archives, '.deb')) execFileSync('dpkg', ['-x', file, folder]);
    });
  }

  /**
   * A kernel, `vmlinuz` and modules, unpacked.
   *
   * @param wanted "6.18", or "latest"
   * @returns the folder that stands for "/"
   */
  kernel(wanted) {
    return this.#once(`kernel-${wanted}`, (folder) => {
      this.#update(KERNEL_SUITES);
      const version = wanted === 'latest' ? '[0-9]+\\.[0-9]+' : wanted.replaceAll('.', '\\.');
      const pattern = new RegExp(`^linux-(?:image|binary)-(${version}[.+-].*amd64)$`);
      const flavours = /-(cloud|rt)-amd64$/;
      const names = this.#cacheSearch('^linux-(image|binary)-[0-9]');
      const releases = names.map((name) => pattern.exec(name)?.[1]).filter((release) => release !== undefined);
      const candidates = [...new Set(releases)].filter((release) => !flavours.test(release)).sort(newestFirst);
      for (const release of candidates.slice(0, 8)) {
        // One package up to 6.19, a kernel and its modules in two from 7.0 on.
        const split = names.includes(`linux-binary-${release}`);
        const parts = split ? [`linux-binary-${release}`, `linux-modules-${release}`] : [`linux-image-${release}`];
        const into = join(this.#cache, 'download');
        rmSync(into, { recursive: true, force: true });
        mkdirSync(into, { recursive: true });
        try {
          this.#apt(['download', ...parts], into);
        } catch {
          continue; // a suite may list what the mirror has no more
        }
        for (const file of list(into, '.deb')) execFileSync('dpkg', ['-x', file, folder]);
        rmSync(into, { recursive: true });
        return;
      }
      throw new CannotRun(
        `the Debian mirror has no kernel ${wanted} (looked in ${KERNEL_SUITES.join(', ')})${this.#trouble}`,
      );
    });
  }

  /** Makes a folder of the cache, unless it is there. A failure leaves nothing. */
  #once(name, make) {
    const folder = join(this.#cache, name);
    if (existsSync(folder)) return folder;
    console.log(`zero-copy: fetching ${name} (Debian packages) into ${folder}`);
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    make(unfinished);
    renameSync(unfinished, folder);
    rmSync(join(this.#cache, 'apt'), { recursive: true, force: true });
    return folder;
  }

  get #archives() {
    return join(this.#cache, 'apt', 'archives');
  }

  /** Reads the lists of this Debian and of further suites of the same mirror. */
  #update(suites) {
    for (const folder of ['lists/partial', 'archives/partial'])
      mkdirSync(join(this.#cache, 'apt', folder), { recursive: true });
    const format = '$(SITE) $(RELEASE)';
    const targets = execFileSync('apt-get', ['indextargets', '--format', format, 'Identifier: Packages'], {
      encoding: 'utf8',
    });
    const own = targets.split('\n').find((line) => line.split(' ')[1] === this.#codename);
    if (own === undefined || !existsSync(KEYRING)) {
      throw new CannotRun(
        `apt's sources have no suite "${this.#codename}" of Debian, or ${KEYRING} is missing: the packages come from Debian's own mirror`,
      );
    }
    const [site] = own.split(' ');
    const stanza = (suite) => `Types: deb\nURIs: ${site}\nSuites: ${suite}\nComponents: main\nSigned-By: ${KEYRING}\n`;
    const sources = [this.#codename, `${this.#codename}-updates`, ...suites].map(stanza).join('\n');
    writeFileSync(join(this.#cache, 'apt', 'zero-copy.sources'), sources);
    try {
      this.#apt(['update']);
    } catch (error) {
      this.#trouble = `; ${error.message}`; // a suite that the mirror has no more is no obstacle to the others
    }
  }

  #options() {
    const apt = join(this.#cache, 'apt');
    const settings = {
      'Dir::Etc::sourcelist': join(apt, 'zero-copy.sources'),
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::State::Lists': join(apt, 'lists'),
      'Dir::Cache::archives': this.#archives,
      'Dir::Cache::pkgcache': '',
      'Dir::Cache::srcpkgcache': '',
      'APT::Sandbox::User': 'root',
      'Acquire::Retries': '3',
      'Debug::NoLocking': 'true',
    };
    return ['-q', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  }

  /** @throws CannotRun with apt's reasons */
  #apt(args, cwd = this.#cache) {
    const options = { cwd, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'], timeout: APT_MILLISECONDS };
    const { status, signal, stderr } = spawnSync('apt-get', [...this.#options(), ...args], options);
    if (status === 0) return;
    const reasons = stderr.split('\n').filter((line) => /^[EW]:/.test(line));
    throw new CannotRun(
      `apt-get could not fetch (${signal ?? `status ${status}`}):\n${reasons.slice(0, 8).join('\n')}`,
    );
  }

  #cacheSearch(pattern) {
    const text = execFileSync('apt-cache', [...this.#options(), 'search', '--names-only', pattern], {
      encoding: 'utf8',
    });
    return text.split('\n').map((line) => line.split(' ')[0]);
  }
}

function list(folder, ending) {
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

/** Compares "6.18.9+deb14-amd64" and the like. */
function newestFirst(a, b) {
  return b.localeCompare(a, 'en', { numeric: true });
}
