import { fstatSync, ftruncateSync, readFileSync, readSync } from 'node:fs';
import { type Arena, PAGE_BYTES, type Region } from '../arena/arena.js';
import type { BufferLayout, PageKind, PageSource } from '../arena/page-source.js';
import { checkInteger, PacketError } from '../errors.js';
import {
  EINVAL,
  ENOMEM,
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  MADV_HUGEPAGE,
  MADV_POPULATE_WRITE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_HUGETLB,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_HUGETLB,
  PROT_READ,
  PROT_WRITE,
} from './constants.js';
import { Struct } from './struct.js';
import { type Meanings, systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

/** Bytes of a huge page, on the machines that system-calls.ts admits and as they are usually set up. */
const HUGE_PAGE_BYTES = 2 ** 21;
/** "tp4b", the first word of a shared memory's last page, which describes the buffer; then four words of its layout. */
const MAGIC = 0x62347074;
const DESCRIPTION_BYTES = 20;

export interface MappedPagesOptions {
  /** Which pages to ask for: `huge` is refused where none are reserved, `transparent-huge` is advice. */
  readonly pages: PageKind;
  /** Whether other processes can map them: they then belong to a memory file (memfd_create). */
  readonly shared: boolean;
}

/**
 * Pages from the Linux kernel, mapped over a part of the arena with MAP_FIXED. A shared memory ends with a page that describes the
 * packet buffer, and is sealed against changes of its size, so that no process can take pages away under another.
 */
export class MappedPages implements PageSource {
  readonly #calls: SystemCalls;
  readonly #arena: Arena;
  readonly #shared: boolean;
  #pages: PageKind;
  #descriptor: number | undefined;
  /** The part of the arena that is taken, and the part of it that is mapped. */
  #taken: Region | undefined;
  #mapped: Region | undefined;

  constructor(calls: SystemCalls, arena: Arena, { pages, shared }: MappedPagesOptions) {
    this.#calls = calls;
    this.#arena = arena;
    this.#pages = pages;
    this.#shared = shared;
  }

  get pages(): PageKind {
    return this.#pages;
  }

  get descriptor(): number | undefined {
    return this.#descriptor;
  }

  allocate(bytes: number, alignment: number, layout: BufferLayout): Region {
    const length = Math.ceil((bytes + (this.#shared ? PAGE_BYTES : 0)) / this.#pageBytes()) * this.#pageBytes();
    const region = this.#take(length, alignment);
    try {
      if (this.#shared) {
        this.#descriptor = this.#createFile(length);
        this.#map(MAP_SHARED, this.#descriptor);
        this.#describe(layout);
      } else if (this.#pages === 'huge') {
        this.#map(MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1);
      } else {
        this.#map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
      }
      if (this.#pages === 'transparent-huge') this.#merge();
      return region;
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /**
   * Maps the memory that another process has made.
   *
   * @param descriptor stays the caller's; the mapping outlives it
   * @returns the layout that its last page describes, and where it lies now
   * @throws PacketError INVALID_OPTION when it is no such memory, ARENA_EXHAUSTED, SYSTEM_CALL
   */
  adopt(descriptor: number): BufferLayout & { readonly base: number; readonly bytes: number } {
    const { layout, length } = this.#readFile(descriptor);
    const region = this.#take(length, Math.max(layout.frameSize, PAGE_BYTES));
    try {
      this.#map(MAP_SHARED | MAP_POPULATE, descriptor);
    } catch (error) {
      this.free();
      throw error;
    }
    return { ...layout, base: region.offset, bytes: length - PAGE_BYTES };
  }

  free(): void {
    const mapped = this.#mapped;
    const taken = this.#taken;
    this.#mapped = this.#taken = undefined;
    if (this.#descriptor !== undefined) this.#calls.close(this.#descriptor);
    this.#descriptor = undefined;
    if (mapped === undefined || taken === undefined) return;
    // Without anonymous pages the others may still be there: rather lose the region than hand those to somebody else.
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    const result = this.#calls.mmap(this.#address(mapped), mapped.bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (result === 0) this.#arena.free(taken);
  }

  #pageBytes(): number {
    return this.#pages === '4k' ? PAGE_BYTES : HUGE_PAGE_BYTES;
  }

  /** Takes a part of the arena whose address, not offset, is at a boundary of such pages. */
  #take(length: number, alignment: number): Region {
    const unit = this.#pageBytes();
    if (unit === PAGE_BYTES) {
      this.#taken = this.#mapped = this.#arena.allocate(length, alignment);
      return this.#mapped;
    }
    this.#taken = this.#arena.allocate(length + unit, alignment);
    const address = this.#calls.address(this.#arena.u8) + BigInt(this.#taken.offset);
    const before = Number((BigInt(unit) - (address % BigInt(unit))) % BigInt(unit));
    this.#mapped = { offset: this.#taken.offset + before, bytes: length };
    return this.#mapped;
  }

  #address({ offset }: Region = this.#mapped!): bigint {
    return this.#calls.address(this.#arena.u8) + BigInt(offset);
  }

  #map(flags: number, descriptor: number): void {
    const { bytes } = this.#mapped!;
    const result = this.#calls.mmap(this.#address(), bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, descriptor, 0);
    if (result < 0)
      throw systemCallError('mmap', -result, `map a packet buffer of ${bytes} bytes`, hugeMeanings(bytes));
  }

  /** A packet buffer is committed as a whole when it is registered; doing so now shows what was got. */
  #merge(): void {
    const { bytes } = this.#mapped!;
    this.#calls.madvise(this.#address(), bytes, MADV_HUGEPAGE);
    this.#calls.madvise(this.#address(), bytes, MADV_POPULATE_WRITE);
    if (!hasHugePages(this.#address())) this.#pages = '4k';
  }

  #createFile(length: number): number {
    const huge = this.#pages === 'huge';
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB : 0);
    const descriptor = this.#calls.memfdCreate('tp4-packet-buffer', flags);
    if (descriptor < 0) {
      throw systemCallError('memfd_create', -descriptor, 'make a memory to share', hugeMeanings(length));
    }
    this.#descriptor = descriptor;
    ftruncateSync(descriptor, length);
    const sealed = this.#calls.fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    if (sealed < 0) throw systemCallError('fcntl F_ADD_SEALS', -sealed, 'fix the size of a memory to share');
    return descriptor;
  }

  #describe({ frames, frameSize, headroom, sendFrames }: BufferLayout): void {
    const { offset, bytes } = this.#mapped!;
    this.#arena.i32.set([MAGIC, frames, frameSize, headroom, sendFrames], (offset + bytes - PAGE_BYTES) >> 2);
  }

  #readFile(descriptor: number): { layout: BufferLayout; length: number } {
    checkInteger('descriptor', descriptor, 0, 2 ** 31 - 1);
    const seals = this.#calls.fcntl(descriptor, F_GET_SEALS, 0);
    const description = new Struct(DESCRIPTION_BYTES);
    // Only a memory file has seals, and only one whose size is fixed can be trusted to stay.
    if (seals < 0 || (seals & F_SEAL_SHRINK) === 0) throw notShared(descriptor, seals < 0 ? -seals : EINVAL);
    const { size: length, blksize } = fstatSync(descriptor);
    if (blksize === HUGE_PAGE_BYTES) this.#pages = 'huge';
    const read = readSync(descriptor, description.bytes, 0, DESCRIPTION_BYTES, Math.max(0, length - PAGE_BYTES));
    if (read < DESCRIPTION_BYTES || description.readU32(0) !== MAGIC) throw notShared(descriptor, EINVAL);
    const [frames, frameSize, headroom, sendFrames] = [4, 8, 12, 16].map((at) => description.readU32(at));
    return { layout: { frames: frames!, frameSize: frameSize!, headroom: headroom!, sendFrames: sendFrames! }, length };
  }
}

function notShared(descriptor: number, errno: number): PacketError {
  return new PacketError('INVALID_OPTION', `descriptor ${descriptor} is not the memory of a shared packet buffer`, {
    syscall: 'fcntl F_GET_SEALS',
    errno,
    remedy: 'pass `buffer.descriptor` of a buffer made with `shared: true` in the `stdio` of the child process',
  });
}

function hugeMeanings(bytes: number): Meanings {
  const pages = Math.ceil(bytes / HUGE_PAGE_BYTES);
  return {
    [ENOMEM]: {
      code: 'MODE_UNSUPPORTED',
      why: 'the machine has no such pages free',
      remedy: `reserve huge pages (\`sysctl vm.nr_hugepages=${pages}\` or more), or ask for pages: 'transparent-huge'`,
    },
  };
}

/** Whether the kernel maps the range that starts at an address with huge pages, in part at least (/proc/self/smaps). */
function hasHugePages(address: bigint): boolean {
  const ranges = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return ranges.some((range) => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(range) ?? [];
    if (from === undefined || address < BigInt(`0x${from}`) || address >= BigInt(`0x${to}`)) return false;
    return /^(?:AnonHugePages|ShmemPmdMapped|FilePmdMapped): +[1-9]/m.test(range);
  });
}
