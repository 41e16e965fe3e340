import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import type { DiffId } from '../image/digest.ts';
import { openBeneath } from '../system/libc.ts';
import { LayerApplier } from './applier.ts';
import type { Change } from './changes.ts';
import { enterRoot } from './enter-root.ts';
import { encodeEntry, endOfArchive, padding } from './tar-writer.ts';

const COPY_BYTES = 1 << 20;
/** Content up to this is worth gathering before it is written. */
const SMALL_BYTES = 64 << 10;

/** Writes a change as a plain layer tar. Its digest and its DiffID are the same. */
export function writeLayerTar(
  changes: readonly Change[],
  { upper, output }: { upper: string; output: string },
): { diffId: DiffId; sizeBytes: number } {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  const from = openSync(upper, 'r');
  const to = openSync(output, 'wx', 0o600);
  let sizeBytes = 0;
  const put = (bytes: Buffer): void => {
    hash.update(bytes);
    for (let done = 0; done < bytes.length;) done += writeSync(to, bytes, done);
    sizeBytes += bytes.length;
  };
  // Small pieces are gathered: a header is half a kilobyte.
  let gathered: Buffer[] = [];
  let gatheredBytes = 0;
  const flush = (): void => {
    if (gatheredBytes > 0) put(Buffer.concat(gathered, gatheredBytes));
    gathered = [];
    gatheredBytes = 0;
  };
  const gather = (bytes: Buffer): void => {
    gathered.push(bytes);
    gatheredBytes += bytes.length;
    if (gatheredBytes >= COPY_BYTES) flush();
  };
  try {
    for (const { entry, source } of changes) {
      gather(encodeEntry(entry));
      if (source === undefined || entry.size === 0) continue;
      const fd = openBeneath(from, Buffer.from(source, 'latin1'));
      try {
        let missing = entry.size;
        while (missing > 0) {
          const size = readSync(fd, buffer, 0, Math.min(buffer.length, missing), null);
          if (size === 0) throw changed(source);
          missing -= size;
          if (size < SMALL_BYTES) gather(Buffer.from(buffer.subarray(0, size)));
          else {
            flush();
            put(buffer.subarray(0, size));
          }
        }
      } finally {
        closeSync(fd);
      }
      gather(padding(entry.size));
    }
    gather(endOfArchive);
    flush();
  } finally {
    closeSync(to);
    closeSync(from);
  }
  return { diffId: `sha256:${hash.digest('hex')}` as DiffId, sizeBytes };
}

/** A change of which a file's content may be other than its source's. */
export type AppliedChange = Change & { content?: Buffer | undefined };

/**
 * Applies a change to `root`, a writable copy of the parents, sharing the files' blocks with the upper directory where
 * the file system can. Chroots meanwhile: only in a process of its own.
 * @param places `plainNames` where a name that begins with `.wh.` is one like others
 */
export function applyChanges(
  changes: readonly AppliedChange[],
  { upper, root, plainNames = false }: { upper: string; root: string; plainNames?: boolean },
): void {
  const from = openSync(upper, 'r');
  try {
    using _inside = enterRoot(root);
    const applier = new LayerApplier({ plainNames });
    for (const { entry, source, content } of changes) {
      applier.entry(entry);
      if (content !== undefined) applier.data(content, 0);
      else if (source !== undefined) {
        const fd = openBeneath(from, Buffer.from(source, 'latin1'));
        try {
          applier.content(fd);
        } finally {
          closeSync(fd);
        }
      }
      applier.endEntry();
    }
    applier.finish();
  } finally {
    closeSync(from);
  }
}

function changed(path: string): ImgbootError {
  return new ImgbootError(
    'IMGBOOT_CHANGED_MEANWHILE',
    `${JSON.stringify(path)} became shorter while it was read`,
    { hint: 'a process still writes to it; end it within the step' },
  );
}
