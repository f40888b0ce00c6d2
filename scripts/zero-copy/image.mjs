// What the virtual machine boots: a kernel, and a file system in memory with busybox, the cards' modules, Node and the built project.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Archive } from './archive.mjs';
import { CannotRun } from './packages.mjs';

/** Drivers of the machine's devices, and what lists AF_XDP sockets; what they need comes with them. */
const MODULES = ['virtio_pci', 'virtio_net', 'igb', 'xsk_diag'];
const INIT = new URL('init.sh', import.meta.url);
/** Folders of the project, and the packages that it needs at run time. */
const PROJECT = ['dist/src', 'dist/test', 'node_modules/koffi', 'node_modules/@koromix/koffi-linux-x64'];

/** @returns path of the kernel in an unpacked package */
export function kernelFile(kernel) {
  return fileLike(kernel, /\/vmlinuz(-[^/]*)?$/);
}

/** @returns what `uname -r` will say: "6.18.44+deb14-amd64" */
export function kernelRelease(kernel) {
  const modules = /\/lib\/modules\/([^/]+)\//;
  return modules.exec(fileLike(kernel, modules))[1];
}

/**
 * Writes the file system.
 *
 * @param path where to
 * @param kernel folder of an unpacked kernel package
 * @param machine folder of the unpacked machine packages
 * @param tests paths of the files to run, from the project's folder
 */
export function writeImage(path, { kernel, machine, tests }) {
  const archive = new Archive(path);
  for (const folder of ['/proc', '/sys', '/dev', '/tmp', '/bin']) archive.folder(folder);
  archive.text('/init', readFileSync(INIT), { executable: true });
  archive.file('/bin/busybox', fileLike(machine, /\/bin\/busybox$/));
  addModules(archive, kernel);
  archive.file('/node', process.execPath);
  for (const library of librariesOf(process.execPath)) archive.file(library);
  for (const folder of PROJECT) {
    for (const file of filesIn(folder)) if (!file.includes('musl')) archive.file(join('/project', file), file);
  }
  archive.file('/project/package.json', 'package.json');
  archive.text('/tests', tests.map((test) => `${test}\n`).join(''));
  archive.close();
}

/** The modules in an order in which each finds what it depends on. Those built into the kernel have no file. */
function addModules(archive, kernel) {
  const files = new Map();
  for (const path of filesIn(kernel)) {
    const name = /\/([^/]+)\.ko(\.xz)?$/.exec(path)?.[1];
    if (name !== undefined) files.set(name.replaceAll('-', '_'), path);
  }
  const order = [];
  const add = (name) => {
    const path = files.get(name);
    if (path === undefined || order.includes(name)) return;
    const content = path.endsWith('.xz')
      ? execFileSync('xz', ['-dc', path], { maxBuffer: 2 ** 26 })
      : readFileSync(path);
    const depends = /\0depends=([^\0]*)\0/.exec(content.toString('latin1'))?.[1] ?? '';
    for (const other of depends.split(',')) add(other.replaceAll('-', '_'));
    archive.text(`/modules/${name}.ko`, content);
    order.push(name);
  };
  for (const name of MODULES) add(name);
  archive.text('/modules/order', order.map((name) => `${name}\n`).join(''));
}

/** The shared libraries that a program loads, by their paths. */
function librariesOf(program) {
  const text = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...text.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path);
}

/** @throws CannotRun when an unpacked package has no such file */
function fileLike(folder, pattern) {
  const found = filesIn(folder).find((path) => pattern.test(path));
  if (found === undefined)
    throw new CannotRun(`no file in ${folder} is like ${pattern}: remove the folder, and it is fetched again`);
  return found;
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
