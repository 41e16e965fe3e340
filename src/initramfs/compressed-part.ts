import { Readable } from 'node:stream';
import { constants, createInflateRaw, createZstdDecompress } from 'node:zlib';
import { ImgbootError, errorMessage } from '../errors.ts';
import { badInitramfs } from './newc-reader.ts';
import { gzipHeaderEnd, lz4FrameEnd, xzStreamEnd, zstdFrameEnd } from './part-end.ts';

/** The formats that a kernel may read, told by their first bytes. @see lib/decompress.c */
const magics = [
  { format: 'zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { format: 'gzip', bytes: [0x1f, 0x8b] },
  { format: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { format: 'lz4', bytes: [0x02, 0x21, 0x4c, 0x18] },
  { format: 'bzip2', bytes: [0x42, 0x5a, 0x68] },
  { format: 'lzma', bytes: [0x5d, 0x00, 0x00] },
  { format: 'lzop', bytes: [0x89, 0x4c, 0x5a, 0x4f] },
] as const;

export type PartFormat = (typeof magics)[number]['format'];

/** Programs that unpack what Node does not, from standard input to standard output. */
const unpackers: Partial<Record<PartFormat, { command: readonly string[]; package: string }>> = {
  xz: { command: ['xz', '-dc'], package: 'xz-utils' },
  lzma: { command: ['xz', '-dc', '--format=lzma'], package: 'xz-utils' },
  lz4: { command: ['lz4', '-dc'], package: 'lz4' },
  bzip2: { command: ['bzip2', '-dc'], package: 'bzip2' },
  lzop: { command: ['lzop', '-dc'], package: 'lzop' },
};

/** What begins here; undefined where it is nothing that a kernel could unpack. */
export function formatAt(bytes: Buffer, at: number): PartFormat | undefined {
  return magics.find((magic) => magic.bytes.every((byte, index) => bytes[at + index] === byte))?.format;
}

/**
 * Unpacks the compressed part that begins at a place of a file, piece by piece.
 * @returns the place after it: for formats of which that cannot be told, the end of the file
 */
export async function* unpackPart(
  file: Buffer,
  at: number,
  format: PartFormat,
): AsyncGenerator<Buffer, number, undefined> {
  try {
    if (format === 'zstd') return yield* unpackZstd(file, at);
    if (format === 'gzip') return yield* unpackGzip(file, at);
    return yield* unpackByProgram(file, at, format);
  } catch (cause) {
    if (cause instanceof ImgbootError) throw cause;
    throw badInitramfs(`its ${format} part at byte ${at} is damaged (${errorMessage(cause)})`, cause);
  }
}

async function* unpackZstd(file: Buffer, at: number): AsyncGenerator<Buffer, number, undefined> {
  const end = zstdFrameEnd(file, at);
  const unpacker = createZstdDecompress({
    chunkSize: 1 << 18,
    params: { [constants.ZSTD_d_windowLogMax]: 31 },
  });
  unpacker.end(file.subarray(at, end));
  yield* unpacker as AsyncIterable<Buffer>;
  return end;
}

async function* unpackGzip(file: Buffer, at: number): AsyncGenerator<Buffer, number, undefined> {
  const start = gzipHeaderEnd(file, at);
  const unpacker = createInflateRaw({ chunkSize: 1 << 18 });
  unpacker.end(file.subarray(start));
  yield* unpacker as AsyncIterable<Buffer>;
  // A checksum and a length follow.
  return start + unpacker.bytesWritten + 8;
}

async function* unpackByProgram(
  file: Buffer,
  at: number,
  format: PartFormat,
): AsyncGenerator<Buffer, number, undefined> {
  const end = partEnd(file, at, format);
  const { command, package: packageName } = unpackers[format]!;
  const { startProcess } = await import('../system/process.ts');
  const child = await startProcess(command[0]!, command.slice(1), { stdin: 'pipe', stdout: 'pipe' });
  Readable.from([file.subarray(at, end)]).pipe(child.stdin!);
  let isRead = false;
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) yield piece;
    isRead = true;
  } finally {
    // A caller that stops early leaves the program with nobody to write to.
    if (!isRead) child.kill('SIGKILL');
  }
  const { exitCode, stderr } = await child.exited;
  if (exitCode === 127) {
    throw new ImgbootError(
      'IMGBOOT_NEEDS_UNPACKER',
      `${command[0]} is not installed, and this file is ${format}`,
      {
        hint: `install it: apt-get install ${packageName}`,
      },
    );
  }
  if (exitCode !== 0) throw new Error(stderr.trim() || `${command[0]} failed`);
  return end;
}

function partEnd(file: Buffer, at: number, format: PartFormat): number {
  if (format === 'xz') return xzStreamEnd(file, at);
  return format === 'lz4' ? lz4FrameEnd(file, at) : file.length;
}
