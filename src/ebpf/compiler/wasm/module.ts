import { ByteWriter } from './byte-writer.js';
import type { CodeWriter, Signature } from './code-writer.js';

/** A function that a module is given. */
export interface ImportedFunction {
  readonly name: string;
  readonly signature: Signature;
}

/** What a module is made of. Functions are numbered from 0: first those imported, then its own. */
export interface ModuleParts {
  /** Imported from `env`, beside the shared memory `env.memory`. */
  readonly imports: readonly ImportedFunction[];
  readonly functions: readonly CodeWriter[];
  /** Functions that are exported: name and number. */
  readonly exports: readonly { readonly name: string; readonly index: number }[];
}

const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const SECTION = { types: 1, imports: 2, functions: 3, exports: 7, code: 10 };
const FUNCTION_TYPE = 0x60;
const FUNCTION = 0x00;
const MEMORY = 0x02;
/** Limits of a memory: shared, with a maximum. */
const SHARED_WITH_MAXIMUM = 0x03;
/** Pages of 64 KiB of the largest arena. */
const MOST_PAGES = 32768;

/** The bytes of a module (WebAssembly core specification, section 5.5). */
export function encodeModule({ imports, functions, exports }: ModuleParts): Uint8Array<ArrayBuffer> {
  const types = new Types();
  const imported = section((out) => {
    out.unsigned(imports.length + 1);
    out.name('env');
    out.name('memory');
    out.byte(MEMORY);
    out.byte(SHARED_WITH_MAXIMUM);
    out.unsigned(1);
    out.unsigned(MOST_PAGES);
    for (const { name, signature } of imports) {
      out.name('env');
      out.name(name);
      out.byte(FUNCTION);
      out.unsigned(types.index(signature));
    }
  });
  const declared = section((out) => {
    out.unsigned(functions.length);
    for (const { signature } of functions) out.unsigned(types.index(signature));
  });
  const exported = section((out) => {
    out.unsigned(exports.length);
    for (const { name, index } of exports) {
      out.name(name);
      out.byte(FUNCTION);
      out.unsigned(index);
    }
  });
  const code = section((out) => {
    out.unsigned(functions.length);
    for (const body of functions) out.appendWithLength(body.bytes());
  });
  const module = new ByteWriter();
  for (const byte of MAGIC_AND_VERSION) module.byte(byte);
  for (const [id, bytes] of [
    [SECTION.types, types.bytes()],
    [SECTION.imports, imported],
    [SECTION.functions, declared],
    [SECTION.exports, exported],
    [SECTION.code, code],
  ] as const) {
    module.byte(id);
    module.appendWithLength(bytes);
  }
  return module.bytes();
}

function section(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter();
  write(out);
  return out.bytes();
}

/** The types of functions, each once. */
class Types {
  readonly #indices = new Map<string, number>();
  readonly #encoded = new ByteWriter();

  index({ parameters, results }: Signature): number {
    const key = `${parameters}:${results}`;
    const known = this.#indices.get(key);
    if (known !== undefined) return known;
    this.#encoded.byte(FUNCTION_TYPE);
    for (const list of [parameters, results]) {
      this.#encoded.unsigned(list.length);
      for (const type of list) this.#encoded.byte(type);
    }
    this.#indices.set(key, this.#indices.size);
    return this.#indices.size - 1;
  }

  bytes(): Uint8Array {
    const out = new ByteWriter();
    out.unsigned(this.#indices.size);
    out.append(this.#encoded.bytes());
    return out.bytes();
  }
}
