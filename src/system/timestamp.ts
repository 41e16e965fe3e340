import { ImgbootError } from '../errors.ts';

/**
 * Now, or the moment that SOURCE_DATE_EPOCH (seconds since 1970) sets for reproducible results, in RFC 3339.
 * @throws IMGBOOT_USAGE when SOURCE_DATE_EPOCH is no number
 * @see https://reproducible-builds.org/specs/source-date-epoch/
 */
export function timestamp(): string {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  if (epoch === undefined || epoch === '') return new Date().toISOString();
  if (/^[0-9]+$/.test(epoch)) return new Date(Number(epoch) * 1000).toISOString();
  throw new ImgbootError(
    'IMGBOOT_USAGE',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(epoch)}, which is no number of seconds`,
  );
}
