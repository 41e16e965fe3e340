import { ImgbootError } from '../errors.ts';

/** Wrong usage of the command line, as sysexits-free tools such as grep and docker have it. */
const WRONG_USAGE = 2;
const FAILED = 1;
const INTERRUPTED = 130;

const wrongUsageCodes = new Set(['IMGBOOT_USAGE', 'IMGBOOT_BAD_REFERENCE']);

/** The exit status for an error: the one place that decides. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof Error && error.name === 'AbortError') return INTERRUPTED;
  if (error instanceof ImgbootError) return wrongUsageCodes.has(error.code) ? WRONG_USAGE : FAILED;
  // oclif's parser errors carry their status here.
  if (error instanceof Error && 'oclif' in error) return WRONG_USAGE;
  return FAILED;
}
