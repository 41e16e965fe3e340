import { gunzipSync } from 'node:zlib';
import type { RootedTree } from '../system/rooted.ts';
import { formatAt, unpackPart } from './compressed-part.ts';

/** What a kernel was built with. */
export class KernelConfig {
  /** Where it was read, inside the root. */
  readonly path: string;
  readonly #text: string;

  private constructor(path: string, text: string) {
    this.path = path;
    this.#text = `\n${text}`;
  }

  /** From the files that distributions put beside a kernel, else out of its image; undefined where neither has it. */
  static async read(
    tree: RootedTree,
    kernel: { version: string; image: string | undefined },
  ): Promise<KernelConfig | undefined> {
    const fromFile = KernelConfig.readFile(tree, kernel.version);
    if (fromFile !== undefined || kernel.image === undefined) return fromFile;
    const image = tree.readFile(kernel.image);
    const text = image && (await embeddedConfig(image));
    return text === undefined ? undefined : new KernelConfig(kernel.image, text);
  }

  /** From the files that distributions put beside a kernel. */
  static readFile(tree: RootedTree, version: string): KernelConfig | undefined {
    for (const path of [`/boot/config-${version}`, `/lib/modules/${version}/config`]) {
      const bytes = tree.readFile(path);
      if (bytes !== undefined) return new KernelConfig(path, bytes.toString('latin1'));
    }
    return undefined;
  }

  /** Whether an option is known, and off. */
  lacks(option: string): boolean {
    return this.#text.includes(`\n# ${option} is not set\n`);
  }

  /** Whether an option is built in. */
  has(option: string): boolean {
    return this.#text.includes(`\n${option}=y\n`);
  }
}

/** kernel/configs.c: CONFIG_IKCONFIG puts the configuration, gzipped, between these. */
const CONFIG_START = Buffer.from('IKCFG_ST');
const CONFIG_END = Buffer.from('IKCFG_ED');
const MAX_CONFIG_BYTES = 1024 * 1024;

/** The configuration that a kernel image carries; undefined where it has none, or cannot be unpacked here. */
export async function embeddedConfig(image: Buffer): Promise<string | undefined> {
  const plain = between(image);
  if (plain !== undefined) return plain;
  const at = payloadOffset(image);
  const format = formatAt(image, at);
  if (format === undefined) return undefined;
  const pieces = unpackPart(image, at, format);
  try {
    let kept: Buffer = Buffer.alloc(0);
    for await (const piece of pieces) {
      kept = Buffer.concat([kept, piece]);
      const found = between(kept);
      if (found !== undefined) return found;
      const start = kept.indexOf(CONFIG_START);
      if (start !== -1 && kept.length - start > MAX_CONFIG_BYTES) return undefined;
      kept = kept.subarray(start === -1 ? Math.max(0, kept.length - CONFIG_START.length) : start);
    }
  } catch {
    // The bytes behind the payload, or a program that is not installed: then nothing is known.
  }
  return undefined;
}

function between(bytes: Buffer): string | undefined {
  const start = bytes.indexOf(CONFIG_START);
  const end = start === -1 ? -1 : bytes.indexOf(CONFIG_END, start);
  if (end === -1) return undefined;
  try {
    return gunzipSync(bytes.subarray(start + CONFIG_START.length, end)).toString('latin1');
  } catch {
    return undefined;
  }
}

/** Where the compressed kernel begins in an x86 image; 0 in an image that is compressed as a whole. */
function payloadOffset(image: Buffer): number {
  // Documentation/arch/x86/boot.rst: the header's fields by their offsets.
  if (image.length < 0x250 || image.toString('latin1', 0x202, 0x206) !== 'HdrS') return 0;
  const setupSectors = image[0x1f1] === 0 ? 4 : image[0x1f1]!;
  return (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
}
