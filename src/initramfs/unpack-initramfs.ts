import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';
import { makeNode } from '../system/libc.ts';
import { printable } from './member-line.ts';
import type { ArchiveMember, MemberSink } from './newc-reader.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './newc.ts';
import { readInitramfs } from './read-initramfs.ts';

/**
 * Unpacks an initramfs into a directory that is empty or not there yet, as the kernel would: what comes later replaces
 * what came before. Nothing is written outside the directory, whatever names and links the archive has. Owners and
 * device nodes are made by root only.
 * @returns warnings, such as device nodes that could not be made
 * @throws IMGBOOT_NOT_EMPTY, IMGBOOT_CANNOT_WRITE, IMGBOOT_UNSAFE_NAME, and what {@link readInitramfs} throws
 */
export async function unpackInitramfs(
  path: string,
  directory: string,
  signal?: AbortSignal,
): Promise<string[]> {
  prepareDirectory(directory);
  const unpacker = new Unpacker(directory);
  try {
    await readInitramfs(path, { signal, sink: unpacker });
    unpacker.finish();
  } finally {
    unpacker.close();
  }
  return unpacker.warnings;
}

function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
    if (readdirSync(directory).length === 0) return;
  } catch (cause) {
    throw cannotWrite(directory, cause);
  }
  throw new ImgbootError('IMGBOOT_NOT_EMPTY', `${directory} is not empty`, {
    hint: 'give a directory that does not exist yet',
  });
}

/** include/linux/namei.h: MAXSYMLINKS */
const MAXSYMLINKS = 40;
/** Read, write and search for the owner while files go in. */
const OPEN_DIRECTORY = 0o700;

class Unpacker implements MemberSink {
  readonly warnings: string[] = [];
  readonly #root: string;
  readonly #isRoot = process.getuid?.() === 0;
  /** The first names of files that have several, by inode. */
  readonly #linked = new Map<string, string>();
  /** Directories, whose modes and times are set when all is in them. */
  readonly #directories = new Map<string, ArchiveMember>();
  #open: { fd: number; path: string; member: ArchiveMember } | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  begin(member: ArchiveMember): void {
    const path = this.#place(member.name);
    if (path === undefined) return;
    this.#attempt(path, () => this.#make(path, member));
  }

  content(piece: Buffer): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#attempt(open.path, () => {
      for (let done = 0; done < piece.length;) done += writeSync(open.fd, piece, done);
    });
  }

  end(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.close();
    this.#attempt(open.path, () => this.#dress(open.path, open.member));
  }

  /** The deepest first: what is set on one must not keep us out of those in it. */
  finish(): void {
    for (const [path, member] of [...this.#directories].sort(([a], [b]) => (a < b ? 1 : -1))) {
      this.#attempt(path, () => this.#dress(path, member));
    }
  }

  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #make(path: string, member: ArchiveMember): void {
    const type = member.mode & S_IFMT;
    if (type === S_IFDIR) {
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
        removeOld(path);
        mkdirSync(path, OPEN_DIRECTORY);
      }
      this.#directories.set(path, member);
      return;
    }
    removeOld(path);
    if (type === S_IFREG) this.#makeFile(path, member);
    else if (type === S_IFLNK) {
      symlinkSync(member.target!, path);
      this.#dress(path, member);
    } else this.#makeNode(path, member);
  }

  #makeFile(path: string, member: ArchiveMember): void {
    const key = `${member.device.major}:${member.device.minor}:${member.ino}`;
    const first = member.nlink > 1 ? this.#linked.get(key) : undefined;
    // One of several names has the content, the first or the last.
    if (first === undefined) {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      this.#open = { fd: openSync(path, flags, 0o600), path, member };
      if (member.nlink > 1) this.#linked.set(key, path);
      return;
    }
    linkSync(first, path);
    if (member.sizeBytes === 0) return;
    this.#open = {
      fd: openSync(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW),
      path,
      member,
    };
  }

  #makeNode(path: string, member: ArchiveMember): void {
    try {
      makeNode(path, member.mode, member.device);
      this.#dress(path, member);
    } catch (error) {
      this.warnings.push(`cannot make the device node ${printable(member.name)}: ${errorMessage(error)}`);
    }
  }

  #dress(path: string, member: ArchiveMember): void {
    if (this.#isRoot) lchownSync(path, member.uid, member.gid);
    if ((member.mode & S_IFMT) !== S_IFLNK) chmodSync(path, member.mode & 0o7777);
    lutimesSync(path, member.mtimeSeconds, member.mtimeSeconds);
  }

  /** Where a member goes: links on the way are followed inside the directory only, as in a root of its own. */
  #place(name: string): string | undefined {
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..')) {
      throw new ImgbootError('IMGBOOT_UNSAFE_NAME', `the archive has the name ${printable(name)}`, {
        hint: 'it is not what it seems; unpack it with nothing',
      });
    }
    const last = parts.pop();
    if (last === undefined) return undefined;
    const inside = this.#follow(parts, { name, hops: 0 });
    return join(this.#root, ...inside, last);
  }

  /** The real parts of a directory's path; those that are missing are made, as the archive takes them for there. */
  #follow(parts: readonly string[], from: { name: string; hops: number }): string[] {
    const real: string[] = [];
    for (const [index, part] of parts.entries()) {
      if (part === '..') {
        real.pop();
        continue;
      }
      const path = join(this.#root, ...real, part);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat?.isSymbolicLink()) {
        if (from.hops >= MAXSYMLINKS) throw this.#loop(from.name);
        const target = readlinkSync(path);
        const start = target.startsWith('/') ? [] : real;
        const on = target.split('/').filter((one) => one !== '' && one !== '.');
        return this.#follow([...start, ...on, ...parts.slice(index + 1)], { ...from, hops: from.hops + 1 });
      }
      if (stat === undefined) this.#attempt(path, () => mkdirSync(path));
      real.push(part);
    }
    return real;
  }

  #loop(name: string): ImgbootError {
    return new ImgbootError('IMGBOOT_UNSAFE_NAME', `the way to ${printable(name)} is a loop of links`, {
      hint: 'the archive is damaged or hostile',
    });
  }

  #attempt(path: string, action: () => void): void {
    try {
      action();
    } catch (cause) {
      throw cause instanceof ImgbootError ? cause : cannotWrite(path, cause);
    }
  }
}

/** Makes room for a member that has the name of an earlier one; a directory that is not empty stays in the way. */
function removeOld(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) rmdirSync(path);
  else if (stat !== undefined) unlinkSync(path);
}

function cannotWrite(path: string, cause: unknown): ImgbootError {
  return new ImgbootError('IMGBOOT_CANNOT_WRITE', `cannot write ${printable(path)}: ${errorMessage(cause)}`, {
    cause,
    hint: errnoOf(cause) === 'ENOSPC' ? 'free some space there, or unpack it elsewhere' : undefined,
  });
}
