import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, gzip, zstdCompress } from 'node:zlib';
import { ImgbootError } from '../errors.ts';
import type { KernelConfig } from './kernel.ts';

export const compressionFormats = ['zstd', 'gzip', 'none'] as const;

export interface Compression {
  format: (typeof compressionFormats)[number];
  level?: number | undefined;
}

const levels = { zstd: { least: 1, most: 19, usual: 3 }, gzip: { least: 1, most: 9, usual: 6 } } as const;

/** Of a small archive a better level costs less time than any of a large one: a tenth less for 60 ms. */
const SMALL_ARCHIVE = { bytes: 24 * 1024 * 1024, zstdLevel: 6 } as const;

/** What a kernel must be built with to unpack it. @see usr/Kconfig */
const kernelOptions = { zstd: 'CONFIG_RD_ZSTD', gzip: 'CONFIG_RD_GZIP' } as const;

/** Reads `zstd`, `zstd:19`, `gzip`, `none`. @throws IMGBOOT_USAGE */
export function parseCompression(text: string): Compression {
  const [format, level, ...rest] = text.split(':');
  const known = compressionFormats.find((name) => name === format);
  if (known === undefined || rest.length > 0) {
    throw new ImgbootError('IMGBOOT_USAGE', `unknown compression ${JSON.stringify(text)}`, {
      hint: 'choose zstd, zstd:LEVEL (1 to 19), gzip, gzip:LEVEL (1 to 9) or none',
    });
  }
  if (level === undefined) return { format: known };
  const range = known === 'none' ? undefined : levels[known];
  if (
    range === undefined ||
    !/^\d+$/.test(level) ||
    Number(level) < range.least ||
    Number(level) > range.most
  ) {
    throw new ImgbootError('IMGBOOT_USAGE', `${known} has no level ${JSON.stringify(level)}`, {
      hint:
        range === undefined
          ? 'give it without a level'
          : `choose a level from ${range.least} to ${range.most}`,
    });
  }
  return { format: known, level: Number(level) };
}

/** @throws IMGBOOT_COMPRESSION_UNSUPPORTED where the kernel's configuration says that it could not read the result */
export function requireKernelReads(compression: Compression, config: KernelConfig | undefined): void {
  if (compression.format === 'none' || config === undefined) return;
  const option = kernelOptions[compression.format];
  if (config.has(option)) return;
  const others = (['zstd', 'gzip'] as const).filter((format) => config.has(kernelOptions[format]));
  throw new ImgbootError(
    'IMGBOOT_COMPRESSION_UNSUPPORTED',
    `this kernel cannot unpack ${compression.format} (${option} is not set in ${config.path})`,
    { hint: `use --compress ${[...others, 'none'].join(' or --compress ')}` },
  );
}

/** Turns one part of the archive into bytes of the file; parts are independent and may be compressed side by side. */
export type Compressor = (part: Buffer) => Promise<Uint8Array>;

/** @param archiveBytes about what will be compressed, for choosing the level where none is given */
export function createCompressor(compression: Compression, archiveBytes: number): Compressor {
  if (compression.format === 'none') return async (part) => part;
  const isSmall = compression.format === 'zstd' && archiveBytes <= SMALL_ARCHIVE.bytes;
  const usual = isSmall ? SMALL_ARCHIVE.zstdLevel : levels[compression.format].usual;
  const level = compression.level ?? usual;
  // One call into the thread pool a part, or two: by default zlib goes there and back every 16 KiB.
  if (compression.format === 'gzip') {
    return async (part) => await promisify(gzip)(part, { level, chunkSize: (part.length >> 1) + 1024 });
  }
  return async (part) =>
    await promisify(zstdCompress)(part, {
      chunkSize: (part.length >> 1) + 1024,
      pledgedSrcSize: part.length,
      params: {
        [constants.ZSTD_c_compressionLevel]: level,
        [constants.ZSTD_c_checksumFlag]: 1,
      },
    });
}

/** How many parts are worth having in the works at once. */
export function compressionParallelism(): number {
  return availableParallelism() + 1;
}
