import { ImgbootError } from '../errors.ts';
import type { ProcessUser } from './spec.ts';

/** Where /etc/passwd and /etc/group of an image are read. */
interface AccountFiles {
  readFile(path: string): Buffer | undefined;
}

interface Account {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

export interface ResolvedUser extends ProcessUser {
  /** `/` for a number that the image does not know. */
  home: string;
}

/**
 * Who `USER[:GROUP]` is in an image: names are looked up in its own /etc/passwd and /etc/group, numbers need not be
 * there. Empty means root. @see Dockerfile reference, USER
 * @throws IMGBOOT_NO_SUCH_USER
 */
export function resolveUser(tree: AccountFiles, text: string): ResolvedUser {
  const [user = '', group] = text.split(':', 2);
  const account = findAccount(tree, user === '' ? '0' : user);
  const gid = group === undefined || group === '' ? account.gid : resolveGroup(tree, group);
  // The group itself is among them, as docker has it: a file may forbid its group what it allows to all others.
  const others = group === undefined || group === '' ? memberships(tree, account.name) : [];
  const additionalGids = [gid, ...others.filter((other) => other !== gid)];
  return { uid: account.uid, gid, additionalGids, home: account.home };
}

/** A group's number. @throws IMGBOOT_NO_SUCH_USER */
export function resolveGroup(tree: AccountFiles, text: string): number {
  const found = lines(tree, '/etc/group').find(([name]) => name === text);
  if (found !== undefined) return Number(found[2]);
  if (/^[0-9]+$/.test(text)) return Number(text);
  throw new ImgbootError('IMGBOOT_NO_SUCH_USER', `the image has no group ${JSON.stringify(text)}`, {
    hint: 'add it in the image (RUN groupadd), or give its number',
  });
}

function findAccount(tree: AccountFiles, text: string): Account {
  const accounts = lines(tree, '/etc/passwd').map(([name = '', , uid, gid, , home = '']) => ({
    name,
    uid: Number(uid),
    gid: Number(gid),
    home: home === '' ? '/' : home,
  }));
  const found =
    accounts.find(({ name }) => name === text) ??
    accounts.find(({ uid }) => /^[0-9]+$/.test(text) && uid === Number(text));
  if (found !== undefined) return found;
  if (/^[0-9]+$/.test(text))
    return { name: '', uid: Number(text), gid: 0, home: text === '0' ? '/root' : '/' };
  throw new ImgbootError('IMGBOOT_NO_SUCH_USER', `the image has no user ${JSON.stringify(text)}`, {
    hint: 'add it in the image (RUN useradd), or give its number',
  });
}

function memberships(tree: AccountFiles, name: string): number[] {
  if (name === '') return [];
  return lines(tree, '/etc/group').flatMap(([, , gid, members = '']) =>
    members.split(',').includes(name) ? [Number(gid)] : [],
  );
}

function lines(tree: AccountFiles, path: string): string[][] {
  const text = tree.readFile(path)?.toString('utf8') ?? '';
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}
