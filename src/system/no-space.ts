import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';

/** An error in the words of {@link ImgbootError} where a full disk or quota is the reason; any other as it is. */
export function explainNoSpace(error: unknown, what: string): unknown {
  const errno = errnoOf(error);
  if (errno !== 'ENOSPC' && errno !== 'EDQUOT') return error;
  return new ImgbootError('IMGBOOT_NO_SPACE', `${what} does not fit: ${errorMessage(error)}`, {
    cause: error,
    hint: 'free space on the file system of the store (imgboot prune), or choose another with --store',
  });
}
