import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, gzip, zstdCompress } from 'node:zlib';
import { ImgbootError } from '../errors.ts';
import type { KernelConfig } from './kernel-config.ts';

type PackedFormat = 'zstd' | 'xz' | 'gzip' | 'lz4';

export interface Compression {
  format: PackedFormat | 'none';
  level?: number | undefined;
}

interface FormatFacts {
  least: number;
  most: number;
  usual: number;
  /** What a kernel must be built with to unpack it. @see usr/Kconfig */
  option: string;
}

/** The best first: what is chosen where nothing is asked for. */
const formats: Record<PackedFormat, FormatFacts> = {
  zstd: { least: 1, most: 19, usual: 3, option: 'CONFIG_RD_ZSTD' },
  gzip: { least: 1, most: 9, usual: 6, option: 'CONFIG_RD_GZIP' },
  lz4: { least: 1, most: 12, usual: 9, option: 'CONFIG_RD_LZ4' },
  xz: { least: 0, most: 9, usual: 6, option: 'CONFIG_RD_XZ' },
};
const formatNames = Object.keys(formats) as PackedFormat[];

/**
 * A part of the archive is compressed by itself: the kernel unpacks several compressed streams in a row, each ending
 * between two members. Big enough to lose little by it, small enough to keep every processor busy. It decides the
 * bytes of the file, so it does not depend on the machine.
 */
const USUAL_PART_BYTES = 4 * 1024 * 1024;
/** As far as xz -6 looks back; more would hardly be smaller. For a small archive it is still work for two processors. */
const LARGE_PART_BYTES = 8 * 1024 * 1024;
/** From here on zstd's window is larger than a usual part. */
const ZSTD_LARGE_LEVEL = 16;

/** Of a small archive a better level costs less time than any of a large one: an eighth less for 60 ms. */
const SMALL_ARCHIVE = { bytes: 24 * 1024 * 1024, zstdLevel: 6 } as const;
/** How far back zstd looks in large parts: programs and libraries repeat each other over megabytes. */
const LARGE_WINDOW_LOG = 23;

/** Reads `zstd`, `zstd:19`, `gzip`, `none`. @throws IMGBOOT_USAGE */
export function parseCompression(text: string): Compression {
  const [format, level, ...rest] = text.split(':');
  if (format === 'none' && level === undefined) return { format };
  const known = formatNames.find((name) => name === format);
  if (known === undefined || rest.length > 0) {
    const choices = formatNames.map((name) => `${name}[:${formats[name].least}-${formats[name].most}]`);
    throw new ImgbootError('IMGBOOT_USAGE', `unknown compression ${JSON.stringify(text)}`, {
      hint: `choose ${choices.join(', ')} or none`,
    });
  }
  if (level === undefined) return { format: known };
  const { least, most } = formats[known];
  if (!/^\d+$/.test(level) || Number(level) < least || Number(level) > most) {
    throw new ImgbootError('IMGBOOT_USAGE', `${known} has no level ${JSON.stringify(level)}`, {
      hint: `choose a level from ${least} to ${most}`,
    });
  }
  return { format: known, level: Number(level) };
}

/**
 * The compression that was asked for, or the best that the kernel reads; where nothing is known of it, zstd.
 * @throws IMGBOOT_COMPRESSION_UNSUPPORTED where the kernel's configuration says that it could not read the result
 */
export function chooseCompression(
  asked: Compression | undefined,
  config: KernelConfig | undefined,
): Compression {
  const readable = formatNames.filter((name) => config === undefined || config.has(formats[name].option));
  if (asked === undefined) return { format: readable[0] ?? 'none' };
  if (asked.format === 'none' || readable.includes(asked.format)) return asked;
  const { option } = formats[asked.format];
  throw new ImgbootError(
    'IMGBOOT_COMPRESSION_UNSUPPORTED',
    `this kernel cannot unpack ${asked.format} (${option} is not set in ${config!.path})`,
    { hint: `use --compress ${[...readable, 'none'].join(' or --compress ')}` },
  );
}

/** Turns parts of the archive into bytes of the file; parts are independent and may be compressed side by side. */
export class Compressor {
  /** How much of the archive makes a part. */
  readonly partBytes: number;
  readonly #format: Compression['format'];
  readonly #level: number;

  /** @param archiveBytes about what will be compressed, for choosing the level where none is given */
  constructor({ format, level }: Compression, archiveBytes: number) {
    this.#format = format;
    const isSmall = format === 'zstd' && archiveBytes <= SMALL_ARCHIVE.bytes;
    this.#level =
      level ?? (isSmall ? SMALL_ARCHIVE.zstdLevel : format === 'none' ? 0 : formats[format].usual);
    const isLarge = format === 'xz' || isSmall || (format === 'zstd' && this.#level >= ZSTD_LARGE_LEVEL);
    this.partBytes = isLarge ? LARGE_PART_BYTES : USUAL_PART_BYTES;
  }

  /** @throws IMGBOOT_NEEDS_PROGRAM for a format that Node does not have, where its program is missing */
  async compress(part: Buffer): Promise<Uint8Array> {
    switch (this.#format) {
      case 'none':
        return part;
      case 'zstd':
        return await promisify(zstdCompress)(part, {
          chunkSize: chunkSize(part),
          pledgedSrcSize: part.length,
          params: {
            [constants.ZSTD_c_compressionLevel]: this.#level,
            [constants.ZSTD_c_checksumFlag]: 1,
            ...(this.partBytes === USUAL_PART_BYTES
              ? {}
              : {
                  [constants.ZSTD_c_windowLog]: LARGE_WINDOW_LOG,
                  [constants.ZSTD_c_enableLongDistanceMatching]: 1,
                }),
          },
        });
      case 'gzip':
        return await promisify(gzip)(part, { level: this.#level, chunkSize: chunkSize(part) });
      case 'xz':
        // The kernel's decoder knows this checksum and none better; more threads would give other bytes.
        return await filter(
          ['xz', '--check=crc32', '--threads=1', `-${this.#level}`, '-c'],
          'xz-utils',
          part,
        );
      case 'lz4':
        // The legacy frame is the one that the kernel reads.
        return await filter(['lz4', '-q', '-l', `-${this.#level}`, '-c'], 'lz4', part);
      default:
        return this.#format satisfies never;
    }
  }
}

/** One call into the thread pool a part, or two: by default zlib goes there and back every 16 KiB. */
function chunkSize(part: Buffer): number {
  return (part.length >> 1) + 1024;
}

async function filter(
  command: readonly [string, ...string[]],
  packageName: string,
  part: Buffer,
): Promise<Buffer> {
  const { runFilter } = await import('../system/filter.ts');
  const purpose = `--compress ${command[0]} was asked for`;
  return await runFilter({ command, package: packageName, purpose }, part);
}

/** How many parts are worth having in the works at once. */
export function compressionParallelism(): number {
  return availableParallelism() + 1;
}
