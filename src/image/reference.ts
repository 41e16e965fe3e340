import { ImgbootError } from '../errors.ts';

/**
 * `[registry/]name[:tag][@digest]`, or the start of an image ID.
 * @see distribution's reference grammar; lengths as there
 */
export interface Reference {
  /** The registry and name: `docker.io/library/debian`, `desktop`. */
  name: string;
  tag: string | undefined;
  digest: string | undefined;
}

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const DOMAIN =
  '(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?)';
const REFERENCE = new RegExp(
  `^((?:${DOMAIN}/)?${COMPONENT}(?:/${COMPONENT})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$`,
);
const MAX_NAME_LENGTH = 255;

/** @throws IMGBOOT_BAD_REFERENCE */
export function parseReference(text: string): Reference {
  const match = REFERENCE.exec(text);
  if (match === null || match[1]!.length > MAX_NAME_LENGTH) {
    throw new ImgbootError('IMGBOOT_BAD_REFERENCE', `not an image reference: ${JSON.stringify(text)}`, {
      hint: 'a reference is [registry/]name[:tag][@digest], the name in lower case, such as debian:bookworm',
    });
  }
  return { name: match[1]!, tag: match[2], digest: match[3] };
}

/**
 * The name under which a store keeps an image: with a tag, `latest` where none was given.
 * @throws IMGBOOT_BAD_REFERENCE, also for a reference with a digest, which names content and not a place
 */
export function storedName(text: string): string {
  const { name, tag, digest } = parseReference(text);
  if (digest !== undefined) {
    throw new ImgbootError(
      'IMGBOOT_BAD_REFERENCE',
      `${text} has a digest and so cannot be given to an image`,
      {
        hint: 'leave the part from @ on away',
      },
    );
  }
  return `${name}:${tag ?? 'latest'}`;
}

/** Where to look for a reference, in order: as it is given, then as podman and docker complete short names. */
export function lookupNames({ name, tag }: Reference): string[] {
  const full = `${name}:${tag ?? 'latest'}`;
  return [full, `docker.io/library/${full}`, `localhost/${full}`];
}

/** A file name for a reference: every byte outside `[A-Za-z0-9._-]` is percent-encoded. The boot hooks do the same. */
export function encodeReference(reference: string): string {
  return [...Buffer.from(reference)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9._-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}
