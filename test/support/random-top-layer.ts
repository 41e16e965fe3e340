import {
  chownSync,
  linkSync,
  mkdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  chmodSync,
  lutimesSync,
} from 'node:fs';
import path from 'node:path';
import * as fc from 'fast-check';
import { makeNode } from '../../src/system/libc.ts';

/** Something in a tree. */
export type Tree =
  | { kind: 'file'; content: string; mode: number; gid: number }
  | { kind: 'symlink'; target: string }
  | { kind: 'fifo' }
  | { kind: 'directory'; mode: number; children: Record<string, Tree> };

const names = ['a', 'b', 'lib', 'usr', 'a-b'] as const;
const whiteouts = [...names.map((name) => `.wh.${name}`), '.wh..wh..opq', '.wh..wh.a'] as const;
/** `@` is the directory of the case itself. */
const targets = [
  'a',
  'b',
  'lib',
  '../a',
  '../b',
  'usr/lib',
  '@/a',
  '@/b/a',
  '@/usr/lib',
  '@',
  '.',
  'no',
  'a/../b',
  '../lib/a',
];

const file: fc.Arbitrary<Tree> = fc.record({
  kind: fc.constant('file' as const),
  content: fc.constantFrom('', '1', '2'),
  mode: fc.constantFrom(0o644, 0o755),
  gid: fc.constantFrom(0, 0, 5),
});
const symlink: fc.Arbitrary<Tree> = fc.record({
  kind: fc.constant('symlink' as const),
  target: fc.constantFrom(...targets),
});

/** A tree of a few names, three levels deep. */
function trees(keys: readonly string[]): fc.Arbitrary<Tree & { kind: 'directory' }> {
  const level = (depth: number): fc.Arbitrary<Tree & { kind: 'directory' }> => {
    const leaves = [file, symlink, fc.constant<Tree>({ kind: 'fifo' })];
    const child = fc.oneof(...leaves, ...(depth > 0 ? [level(depth - 1), level(depth - 1)] : []));
    return fc.record({
      kind: fc.constant('directory' as const),
      mode: fc.constantFrom(0o755, 0o755, 0o711),
      children: fc.dictionary(fc.constantFrom(...keys), child, { maxKeys: 4 }) as fc.Arbitrary<
        Record<string, Tree>
      >,
    });
  };
  return level(2);
}

/** An image and a top layer. */
export const randomPair = fc.record({ image: trees(names), top: trees([...names, ...names, ...whiteouts]) });

/** Makes a tree as a directory. Files with the same content `2` are hard links of one another. */
export function makeTree(
  directory: string,
  tree: Tree & { kind: 'directory' },
  top: string,
  seconds: number,
): void {
  const links = new Map<string, string>();
  const make = (place: string, node: Tree): void => {
    switch (node.kind) {
      case 'directory':
        mkdirSync(place, { recursive: true });
        for (const [name, child] of Object.entries(node.children)) make(path.join(place, name), child);
        chmodSync(place, node.mode);
        break;
      case 'symlink':
        symlinkSync(node.target.replace('@', top), place);
        lutimesSync(place, seconds, seconds);
        break;
      case 'fifo':
        makeNode(place, 0o010644, { major: 0, minor: 0 });
        break;
      case 'file': {
        const first = node.content === '2' ? links.get('2') : undefined;
        if (first !== undefined) return linkSync(first, place);
        writeFileSync(place, node.content, { mode: node.mode });
        chownSync(place, 0, node.gid);
        utimesSync(place, seconds, seconds);
        if (node.content === '2') links.set('2', place);
      }
    }
  };
  make(directory, tree);
}
