// An initial file system for a kernel: a cpio archive in the "newc" format (cpio(5)), which Linux unpacks at boot.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const FOLDER = 0o040755;
const FILE = 0o100644;
const PROGRAM = 0o100755;

/** Writes the archive. Folders above a file come by themselves; nothing is added twice. */
export class Archive {
  #descriptor;
  #names = new Set(['/']);
  #number = 1;

  constructor(path) {
    this.#descriptor = openSync(path, 'w');
  }

  folder(path) {
    if (this.#names.has(path)) return;
    this.folder(dirname(path));
    this.#entry(path, FOLDER, Buffer.alloc(0));
  }

  /** A file with given content. */
  text(path, content, { executable = false } = {}) {
    if (this.#names.has(path)) return;
    this.folder(dirname(path));
    this.#entry(path, executable ? PROGRAM : FILE, Buffer.from(content));
  }

  /** A file of this machine. */
  file(path, source = path) {
    this.text(path, readFileSync(source), { executable: true });
  }

  close() {
    this.#entry('TRAILER!!!', 0, Buffer.alloc(0));
    closeSync(this.#descriptor);
  }

  /** A header of thirteen numbers of eight hexadecimal digits, the name, the content; name and content end at a multiple of 4. */
  #entry(path, mode, content) {
    this.#names.add(path);
    const name = Buffer.from(`${path.replace(/^\//, '')}\0`);
    const fields = [this.#number++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
    this.#write(Buffer.concat([Buffer.from(header), name]));
    this.#write(content);
  }

  #write(bytes) {
    const padded = Buffer.alloc((bytes.length + 3) & ~3);
    bytes.copy(padded);
    writeSync(this.#descriptor, padded);
  }
}
