import { byBytes } from '../system/rooted.ts';
import { plainName } from './cat-member.ts';
import { printable } from './member-line.ts';
import type { ArchiveMember } from './newc-reader.ts';

interface Branch {
  member: ArchiveMember | undefined;
  /** Of all files below. */
  sizeBytes: number;
  below: Map<string, Branch>;
}

/** The members as a tree of lines, as tree(1) draws it, each directory with the bytes that lie in it. */
export function memberTree(members: readonly ArchiveMember[], size: (bytes: number) => string): string[] {
  const root: Branch = { member: undefined, sizeBytes: 0, below: new Map() };
  for (const member of members) {
    const parts = plainName(member.name).split('/');
    if (parts[0] === '' || parts[0] === '.') continue;
    const way = [root];
    for (const part of parts) {
      const { below } = way.at(-1)!;
      const next = below.get(part) ?? { member: undefined, sizeBytes: 0, below: new Map() };
      below.set(part, next);
      way.push(next);
    }
    // Of one name twice, the later file is what the kernel leaves.
    const replaced = way.at(-1)!.member?.sizeBytes ?? 0;
    way.at(-1)!.member = member;
    for (const branch of way) branch.sizeBytes += member.sizeBytes - replaced;
  }
  return [`. (${size(root.sizeBytes)})`, ...branchLines(root, '', size)];
}

function branchLines(branch: Branch, indent: string, size: (bytes: number) => string): string[] {
  const entries = [...branch.below].sort(([a], [b]) => byBytes(a, b));
  return entries.flatMap(([name, child], index) => {
    const isLast = index === entries.length - 1;
    const target = child.member?.target === undefined ? '' : ` -> ${printable(child.member.target)}`;
    const bytes = child.sizeBytes > 0 && target === '' ? ` (${size(child.sizeBytes)})` : '';
    const line = `${indent}${isLast ? '└── ' : '├── '}${printable(name)}${target}${bytes}`;
    return [line, ...branchLines(child, `${indent}${isLast ? '    ' : '│   '}`, size)];
  });
}
