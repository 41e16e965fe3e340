import { ImgbootError } from '../../errors.ts';

/** getrlimit(2) */
const names = new Set(
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
    ' ',
  ),
);

/** RLIM_INFINITY, as near as a JSON number comes that every runtime reads. */
const UNLIMITED = 2 ** 63 - 1024;

/** `NAME=SOFT[:HARD]`; -1 is no limit. @throws IMGBOOT_USAGE */
export function parseUlimit(text: string): { name: string; soft: number; hard: number } {
  const match = /^([a-z]+)=(-1|[0-9]+|unlimited)(?::(-1|[0-9]+|unlimited))?$/.exec(text);
  const [, name = '', softText = '', hardText = softText] = match ?? [];
  const value = (word: string): number => (word === '-1' || word === 'unlimited' ? UNLIMITED : Number(word));
  const [soft, hard] = [value(softText), value(hardText)];
  if (names.has(name) && soft <= hard) return { name, soft, hard };
  throw new ImgbootError('IMGBOOT_USAGE', `not a limit of processes: ${JSON.stringify(text)}`, {
    hint: 'NAME=SOFT[:HARD], such as nofile=1024:4096; NAME as in getrlimit(2) without RLIMIT_, in small letters',
  });
}
