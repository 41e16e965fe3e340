import { createHash } from 'node:crypto';
import { ImgbootError } from '../errors.ts';

declare const kind: unique symbol;

/** `sha256:` and 64 hex digits: names a blob by its bytes. */
export type Digest = string & { readonly [kind]: 'digest' };
/** The digest of a layer's uncompressed tar. @see image-spec config.md, "Layer DiffID" */
export type DiffId = string & { readonly [kind]: 'diffId' };
/** Names an unpacked root file system. @see image-spec config.md, "Layer ChainID" */
export type ChainId = string & { readonly [kind]: 'chainId' };

const SHA256 = /^sha256:[0-9a-f]{64}$/;

/** @throws IMGBOOT_BAD_DIGEST for anything but a sha256 digest in the canonical form */
export function parseDigest(text: unknown): Digest {
  if (typeof text === 'string' && SHA256.test(text)) return text as Digest;
  throw new ImgbootError('IMGBOOT_BAD_DIGEST', `not a sha256 digest: ${JSON.stringify(text)}`, {
    hint: 'a digest is sha256: and 64 hex digits; no other algorithm is supported',
  });
}

export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
}

/** The hex digits of a digest, DiffID or ChainID: a blob's file name. */
export function hexOf(digest: Digest | DiffId | ChainId): string {
  return digest.slice('sha256:'.length);
}
