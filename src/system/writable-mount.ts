import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { findMount } from './mountinfo.ts';

/** Set for the process that has been started again: it must not start again. */
const DONE = 'IMGBOOT_STORE_REMOUNTED';

/**
 * Where a path is shown by a read-only mount, such as a booted deployment's store, starts this process again in a mount
 * namespace of its own, in which that mount can be written to; nobody else can by that. What else is mounted there, the
 * others see as before. Returns where nothing is to be done. Needs root.
 * @throws IMGBOOT_READ_ONLY where the file system itself is read-only
 */
export function restartWithWritable(path: string): void {
  if (!existsSync(path)) return;
  const { options, superOptions, target } = findMount(path);
  if (!options.includes('ro')) return;
  if (superOptions.includes('ro') || process.env[DONE] !== undefined || process.getuid?.() !== 0) {
    if (process.getuid?.() !== 0) return;
    throw new ImgbootError('IMGBOOT_READ_ONLY', `the file system of ${path} is read-only`, {
      hint: 'a boot of an image into RAM (imgboot.image=, imgboot.writable=ram) leaves the disk alone; or the file system has errors: dmesg says',
    });
  }
  const script = 'mount -o remount,bind,rw "$1" && shift && exec "$@"';
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve!(
    findProgram('unshare'),
    ['unshare', '--mount', '--propagation', 'unchanged', '--', 'sh', '-c', script, 'sh', target, ...command],
    { ...process.env, [DONE]: '1' },
  );
}

function findProgram(name: string): string {
  const found = (process.env['PATH'] ?? '/usr/bin:/bin')
    .split(':')
    .map((directory) => join(directory, name))
    .find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new ImgbootError('IMGBOOT_COMMAND_FAILED', `${name} is not installed`, {
    hint: 'imgboot doctor names what is missing and the command that installs it',
  });
}
