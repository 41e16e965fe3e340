import type { ArchiveMember } from './newc-reader.ts';
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './newc.ts';

/** include/uapi/linux/stat.h, for what an initramfs may hold besides */
const S_IFBLK = 0o060000;
const S_IFIFO = 0o010000;
const S_IFSOCK = 0o140000;

const typeLetters: Record<number, string> = {
  [S_IFREG]: '-',
  [S_IFDIR]: 'd',
  [S_IFLNK]: 'l',
  [S_IFCHR]: 'c',
  [S_IFBLK]: 'b',
  [S_IFIFO]: 'p',
  [S_IFSOCK]: 's',
};

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** After this time, `ls -l` and `cpio -tv` show the year in place of the hour. */
const RECENT_MS = 6 * 30 * 24 * 60 * 60 * 1000;

/** A member on a line, as `cpio --list --verbose` writes it. */
export function memberLine(member: ArchiveMember, now = Date.now()): string {
  const { major, minor } = member.device;
  const type = member.mode & S_IFMT;
  const size =
    type === S_IFCHR || type === S_IFBLK
      ? `${String(major).padStart(3)}, ${String(minor).padStart(3)}`
      : String(member.sizeBytes).padStart(8);
  const target = member.target === undefined ? '' : ` -> ${printable(member.target)}`;
  return [
    modeLetters(member.mode),
    String(member.nlink).padStart(3),
    ownerName(member.uid).padEnd(8),
    ownerName(member.gid).padEnd(8),
    size,
    dateText(member.mtimeSeconds, now),
    printable(member.name) + target,
  ].join(' ');
}

/** A name that does nothing to a terminal: what is not printable as in C. */
export function printable(name: string): string {
  // oxlint-disable-next-line no-control-regex -- the control characters are what is looked for
  return name.replaceAll(/[\u0000-\u001f\u007f-\u009f\\]/g, (character) => {
    const short = { '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r', '\b': '\\b', '\f': '\\f' }[
      character
    ];
    return short ?? `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
  });
}

function modeLetters(mode: number): string {
  const letters = Array.from('rwxrwxrwx', (letter, index) => ((mode >> (8 - index)) & 1 ? letter : '-'));
  const special = (bit: number, index: number, letter: string): void => {
    if ((mode & bit) === 0) return;
    letters[index] = letters[index] === 'x' ? letter : letter.toUpperCase();
  };
  special(0o4000, 2, 's');
  special(0o2000, 5, 's');
  special(0o1000, 8, 't');
  return (typeLetters[mode & S_IFMT] ?? '?') + letters.join('');
}

function ownerName(id: number): string {
  return id === 0 ? 'root' : String(id);
}

function dateText(seconds: number, now: number): string {
  const date = new Date(seconds * 1000);
  const day = `${months[date.getMonth()]} ${String(date.getDate()).padStart(2)}`;
  const age = now - date.getTime();
  if (age > RECENT_MS || age < 0) return `${day} ${String(date.getFullYear()).padStart(5)}`;
  const [hours, minutes] = [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0'));
  return `${day} ${hours}:${minutes}`;
}
