import { ImgbootError } from '../errors.ts';
import { printable } from './member-line.ts';
import type { ArchiveMember, MemberSink } from './newc-reader.ts';
import { S_IFMT, S_IFREG } from './newc.ts';
import { readInitramfs } from './read-initramfs.ts';

/**
 * The content of a file of an initramfs, by its path there. Of several with one name the last is given: it is the one
 * that the kernel leaves.
 * @throws IMGBOOT_NO_SUCH_MEMBER, IMGBOOT_NOT_A_FILE, and what {@link readInitramfs} throws
 */
export async function catMember(path: string, wanted: string, signal?: AbortSignal): Promise<Buffer> {
  const name = plainName(wanted);
  const sink = new ContentSink(name);
  const { members } = await readInitramfs(path, { signal, sink });
  const member = members.findLast((one) => plainName(one.name) === name);
  if (member === undefined) {
    throw new ImgbootError('IMGBOOT_NO_SUCH_MEMBER', `${path} has no ${printable(wanted)}`, {
      hint: `imgboot lsinitramfs ${path}`,
    });
  }
  if ((member.mode & S_IFMT) !== S_IFREG) {
    const what = member.target === undefined ? 'no file' : `a link to ${printable(member.target)}`;
    throw new ImgbootError('IMGBOOT_NOT_A_FILE', `${printable(wanted)} is ${what}`, {
      hint: 'give the path of a file',
    });
  }
  return sink.contentOf(member);
}

/** Keeps the content of members with a name, and of those with several names, by their inode. */
class ContentSink implements MemberSink {
  readonly #name: string;
  readonly #byInode = new Map<number, Buffer>();
  #pieces: Buffer[] | undefined;
  #member: ArchiveMember | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  begin(member: ArchiveMember): void {
    this.#member = member;
    this.#pieces = plainName(member.name) === this.#name || member.nlink > 1 ? [] : undefined;
  }

  content(piece: Buffer): void {
    this.#pieces?.push(Buffer.from(piece));
  }

  end(): void {
    if (this.#pieces === undefined || this.#pieces.length === 0) return;
    this.#byInode.set(this.#member!.ino, Buffer.concat(this.#pieces));
  }

  contentOf(member: ArchiveMember): Buffer {
    if (member.sizeBytes === 0 && member.nlink < 2) return Buffer.alloc(0);
    // In newc, one of a file's names has its content.
    return this.#byInode.get(member.ino) ?? Buffer.alloc(0);
  }
}

/** A member's name without what only some generators write before it. */
export function plainName(name: string): string {
  return name.replace(/^(\.?\/)+/, '').replace(/\/+$/, '');
}
