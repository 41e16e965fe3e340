import { ImgbootError } from '../errors.ts';

/**
 * The moment that SOURCE_DATE_EPOCH (seconds since 1970) sets for reproducible results; undefined when it does not.
 * @throws IMGBOOT_USAGE when it is no number
 * @see https://reproducible-builds.org/specs/source-date-epoch/
 */
export function epochSeconds(): number | undefined {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  if (epoch === undefined || epoch === '') return undefined;
  if (/^[0-9]+$/.test(epoch)) return Number(epoch);
  throw new ImgbootError(
    'IMGBOOT_USAGE',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(epoch)}, which is no number of seconds`,
  );
}

/** Now, or SOURCE_DATE_EPOCH's moment, in RFC 3339. @throws IMGBOOT_USAGE */
export function timestamp(): string {
  const epoch = epochSeconds();
  return (epoch === undefined ? new Date() : new Date(epoch * 1000)).toISOString();
}
