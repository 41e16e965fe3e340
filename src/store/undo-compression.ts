import { closeSync, createReadStream, openSync, readSync, writeSync } from 'node:fs';
import { ImgbootError, errorMessage, errnoOf } from '../errors.ts';
import {
  createDecompressor,
  detectCompression,
  isLayerCompression,
  type Compression,
  type ForeignCompression,
} from '../layer/decompress.ts';
import { runCommand } from '../system/exec.ts';

/** How a file is compressed, by its first bytes. */
export function compressionOfFile(path: string): Compression | ForeignCompression {
  const start = Buffer.alloc(16);
  const fd = openSync(path, 'r');
  try {
    return detectCompression(start.subarray(0, readSync(fd, start)));
  } finally {
    closeSync(fd);
  }
}

/** Writes what a compressed file holds to a new file. @throws IMGBOOT_BAD_ARCHIVE, IMGBOOT_COMMAND_FAILED */
export async function undoCompression(
  path: string,
  { to, signal }: { to: string; signal: AbortSignal | undefined },
): Promise<void> {
  const compression = compressionOfFile(path);
  if (!isLayerCompression(compression)) {
    await runCommand(compression, ['--decompress', '--stdout', path], { signal, outputTo: { file: to } });
    return;
  }
  const fd = openSync(to, 'wx', 0o600);
  try {
    const decompressor = createDecompressor(compression, (bytes) => {
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    });
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18, signal }))
      await decompressor.write(chunk as Buffer);
    await decompressor.end();
  } catch (cause) {
    if (errnoOf(cause)?.startsWith('Z') !== true) throw cause;
    throw new ImgbootError(
      'IMGBOOT_BAD_ARCHIVE',
      `the archive cannot be decompressed: ${errorMessage(cause)}`,
      {
        cause,
        hint: 'it may be cut off: make it again and compare the sizes',
      },
    );
  } finally {
    closeSync(fd);
  }
}
