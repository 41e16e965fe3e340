import { ImgbootError } from '../errors.ts';
import { showName } from '../top-layer/show.ts';

/** Characters that mean nothing to a Dockerfile, a shell, or whoever looks for patterns. */
const PLAIN = /^[A-Za-z0-9._+@%,:=/-]+$/;

/** Whether a path, a byte string, can stand anywhere in a Dockerfile as it is. */
export function isPlainPath(path: string): boolean {
  return PLAIN.test(path) && !path.endsWith('/');
}

/**
 * A byte string as one word of a shell's in a RUN: of a name that no line can have, printf(1) makes it.
 * @throws IMGBOOT_UNSUPPORTED_NAME for a name that ends with a line
 */
export function shellWord(bytes: string): string {
  if (PLAIN.test(bytes)) return bytes;
  if (/^[A-Za-z0-9._+@%,:=/ ~^()[\]{}!;&|-]+$/.test(bytes)) return `'${bytes}'`;
  if (bytes.endsWith('\n')) {
    throw new ImgbootError('IMGBOOT_UNSUPPORTED_NAME', `no Dockerfile can name ${showName(bytes)}`, {
      hint: 'leave it out, or adopt it into a layer or a top layer',
    });
  }
  // Of printf's own, %b takes nothing but backslashes for special.
  const octal = (byte: string): string => `\\0${byte.charCodeAt(0).toString(8).padStart(3, '0')}`;
  return `"$(printf %b '${bytes.replaceAll(/[^A-Za-z0-9./-]/g, octal)}')"`;
}
