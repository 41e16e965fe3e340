import { readFileSync, realpathSync } from 'node:fs';

/** A mounted file system, as this process sees it. @see proc_pid_mountinfo(5) */
export interface MountPoint {
  /** Where. */
  target: string;
  /** Which directory of the file system is seen there: its own top is `/`. */
  root: string;
  fstype: string;
  /** The device, or a name of another kind. */
  source: string;
  /** Options of this mount: `ro`, `nosuid`. */
  options: string[];
  /** Options of the file system, wherever it is mounted. */
  superOptions: string[];
}

export function listMounts(path = '/proc/self/mountinfo'): MountPoint[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const words = line.split(' ').map(unescape);
      const rest = words.slice(words.indexOf('-') + 1);
      return {
        target: words[4]!,
        root: words[3]!,
        options: words[5]!.split(','),
        fstype: rest[0]!,
        source: rest[1]!,
        superOptions: (rest[2] ?? '').split(','),
      };
    });
}

/** The mount that a path is on: the last of those whose place is the longest. */
export function findMount(path: string, mounts = listMounts()): MountPoint {
  const real = realpathSync(path);
  const above = mounts.filter(
    ({ target }) => real === target || real.startsWith(target === '/' ? '/' : `${target}/`),
  );
  return above.reduce((best, one) => (one.target.length >= best.target.length ? one : best));
}

/** mountinfo writes blanks, tabs, newlines and backslashes in octal. */
function unescape(word: string): string {
  return word.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
