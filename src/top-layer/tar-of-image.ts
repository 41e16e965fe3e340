import { kindOf, NewRoot } from './new-root.ts';
import type { TarStyle } from './tar-digests.ts';
import { FileTree } from './tree.ts';

/** A program's own words. */
const VERSION = /\0([1-9])\.(\d{2})(?:\.\d+)?\0/;

/**
 * Which GNU tar an image's initramfs has, and so which digest its boot reports: the image's own, where it has one, and
 * else this machine's. It is looked at, and not run.
 */
export function tarStyleOf(image: FileTree): TarStyle {
  return styleIn(image) ?? tarStyleHere();
}

/** The same for this machine. */
export function tarStyleHere(): TarStyle {
  using tree = new FileTree('/');
  return styleIn(tree) ?? 'since 1.35';
}

function styleIn(tree: FileTree): TarStyle | undefined {
  const root = new NewRoot(tree);
  const found = ['/usr/bin/tar', '/bin/tar'].map((path) => root.resolve(path));
  const tar = found.find((one) => one.kind === 'found' && kindOf(one.node) === 'file');
  if (tar?.kind !== 'found') return undefined;
  const program = tree.read(tar.node.place);
  const version = program.includes('GNU tar') ? VERSION.exec(program) : null;
  if (version === null) return undefined;
  const [major, minor] = [Number(version[1]), Number(version[2])];
  return major > 1 || minor >= 35 ? 'since 1.35' : 'before 1.35';
}
