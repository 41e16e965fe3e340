import { ImgbootError, errorMessage } from '../errors.ts';
import { digestOf, parseDigest } from '../image/digest.ts';
import type { Progress } from '../system/progress.ts';

/** What ADD gets from a URL. */
export interface Download {
  name: string;
  bytes: Buffer;
  /** As Docker has it: a download is nobody else's business. */
  mode: number;
  /** Of its Last-Modified; 0 where it has none. */
  mtimeSeconds: bigint;
}

/**
 * Downloads a file over HTTP.
 * @throws IMGBOOT_DOWNLOAD_FAILED, IMGBOOT_DIGEST_MISMATCH when it is not what `checksum` says
 */
export async function download(
  url: string,
  { checksum, progress }: { checksum: string | undefined; progress: Progress },
): Promise<Download> {
  const expected = checksum === undefined ? undefined : parseDigest(checksum);
  const name = decodeURIComponent(new URL(url).pathname.split('/').at(-1) ?? '');
  if (name === '' || name.includes('/') || name === '.' || name === '..') {
    throw new ImgbootError('IMGBOOT_DOWNLOAD_FAILED', `${url} ends in no file name`, {
      hint: 'name a file at the end of the destination',
    });
  }
  progress({ step: `downloading ${url}` });
  let response: Response;
  let bytes: Buffer;
  try {
    response = await fetch(url);
    bytes = Buffer.from(await response.arrayBuffer());
  } catch (cause) {
    throw new ImgbootError(
      'IMGBOOT_DOWNLOAD_FAILED',
      `cannot download ${url}: ${errorMessage(cause instanceof Error && cause.cause !== undefined ? cause.cause : cause)}`,
      { cause },
    );
  }
  if (!response.ok)
    throw new ImgbootError(
      'IMGBOOT_DOWNLOAD_FAILED',
      `cannot download ${url}: the server says ${response.status} ${response.statusText}`,
    );
  const digest = digestOf(bytes);
  if (expected !== undefined && digest !== expected) {
    throw new ImgbootError(
      'IMGBOOT_DIGEST_MISMATCH',
      `${url} has the digest ${digest} and should have ${expected}`,
      { hint: 'the file has changed, or it is not the one that was meant' },
    );
  }
  const modified = Date.parse(response.headers.get('last-modified') ?? '');
  return {
    name,
    bytes,
    mode: 0o600,
    mtimeSeconds: Number.isNaN(modified) ? 0n : BigInt(Math.floor(modified / 1000)),
  };
}
