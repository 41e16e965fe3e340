import { ImgbootError } from '../errors.ts';

/** Wrong usage of the command line, as sysexits-free tools such as grep and docker have it. */
const WRONG_USAGE = 2;
const FAILED = 1;
const INTERRUPTED = 130;

const wrongUsageCodes = new Set(['IMGBOOT_USAGE', 'IMGBOOT_BAD_REFERENCE', 'IMGBOOT_BAD_TEST']);

/** The exit status for an error: the one place that decides. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof Error && error.name === 'AbortError') return INTERRUPTED;
  if (error instanceof ImgbootError) return wrongUsageCodes.has(error.code) ? WRONG_USAGE : FAILED;
  // oclif's parser errors carry their status here.
  if (error instanceof Error && 'oclif' in error) return WRONG_USAGE;
  return FAILED;
}

/** docker's and podman's statuses of what runs a guest's command, beside the command's own. */
const GUEST_FAILED = 125;
const GUEST_NOT_EXECUTABLE = 126;
const GUEST_NOT_FOUND = 127;
/** What a shell shows for a program that wrote where nobody reads. */
const BROKEN_PIPE = 128 + 13;

/** Exit statuses of commands that pass on a guest's own. */
export const guestExitStatus = {
  ofFailure(error: unknown): number {
    if (error instanceof Error && error.name === 'AbortError') return INTERRUPTED;
    const code = error instanceof ImgbootError ? error.code : undefined;
    if (code === 'IMGBOOT_COMMAND_NOT_EXECUTABLE') return GUEST_NOT_EXECUTABLE;
    return code === 'IMGBOOT_COMMAND_NOT_FOUND' ? GUEST_NOT_FOUND : GUEST_FAILED;
  },
  of(end: 'detached' | 'broken-pipe'): number {
    return end === 'detached' ? 0 : BROKEN_PIPE;
  },
};
