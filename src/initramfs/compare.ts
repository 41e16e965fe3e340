import { crc32 } from 'node:zlib';
import { byBytes } from '../system/rooted.ts';
import { plainName } from './cat-member.ts';
import type { ArchiveMember, MemberSink } from './newc-reader.ts';
import { readInitramfs } from './read-initramfs.ts';

/** What a member is, as far as two initramfs images may differ in it. */
export interface MemberDigest {
  sizeBytes: number;
  /** Of type, permissions, content and a link's target. */
  digest: string;
}

export interface Comparison {
  added: { path: string; sizeBytes: number }[];
  removed: { path: string; sizeBytes: number }[];
  /** In content, type or mode. */
  changed: { path: string; oldBytes: number; newBytes: number }[];
}

/** Every member of an initramfs; of several with one name, the last. @throws what {@link readInitramfs} throws */
export async function digestMembers(path: string, signal?: AbortSignal): Promise<Map<string, MemberDigest>> {
  const sink = new DigestSink();
  await readInitramfs(path, { signal, sink });
  return sink.members;
}

class DigestSink implements MemberSink {
  readonly members = new Map<string, MemberDigest>();
  #member: ArchiveMember | undefined;
  #crc = 0;

  begin(member: ArchiveMember): void {
    this.#member = member;
    this.#crc = 0;
  }

  content(piece: Buffer): void {
    this.#crc = crc32(piece, this.#crc);
  }

  end(): void {
    const { name, mode, sizeBytes, target = '' } = this.#member!;
    this.members.set(plainName(name), { sizeBytes, digest: `${mode} ${this.#crc} ${target}` });
  }
}

export function compareMembers(
  old: ReadonlyMap<string, MemberDigest>,
  now: ReadonlyMap<string, MemberDigest>,
): Comparison {
  const paths = [...new Set([...old.keys(), ...now.keys()])].sort(byBytes);
  const comparison: Comparison = { added: [], removed: [], changed: [] };
  for (const path of paths) {
    const [before, after] = [old.get(path), now.get(path)];
    if (before === undefined) comparison.added.push({ path, sizeBytes: after!.sizeBytes });
    else if (after === undefined) comparison.removed.push({ path, sizeBytes: before.sizeBytes });
    else if (before.sizeBytes !== after.sizeBytes || before.digest !== after.digest) {
      comparison.changed.push({ path, oldBytes: before.sizeBytes, newBytes: after.sizeBytes });
    }
  }
  return comparison;
}
