import type { EntrySpec } from './tar-builder.ts';

/** Few names, so that entries meet: in each other's place, below each other, through symlinks. */
const names = ['a', 'b', 'lib', 'usr'];
const targets = ['a', 'b', '/usr', '../b', 'usr/lib', '/lib/a', 'nowhere', '..'];

/** Layers of random entries, the same for the same seed: files, directories, links, whiteouts, opaque marks. */
export function randomLayers(
  seed: number,
  { layers, entries }: { layers: number; entries: number },
): EntrySpec[][] {
  const random = generator(seed);
  const files: string[] = [];
  return Array.from({ length: layers }, () =>
    Array.from({ length: 1 + random(entries) }, () => {
      const entry = randomEntry(random, files);
      if (entry.content !== undefined) files.push(entry.path);
      return entry;
    }),
  );
}

/** @param files what hard links may name: it was there once */
function randomEntry(random: (below: number) => number, files: readonly string[]): EntrySpec {
  const directory = Array.from({ length: random(3) }, () => `${names[random(names.length)]}/`).join('');
  const name = names[random(names.length)]!;
  const common = {
    path: `${directory}${name}`,
    uid: random(3),
    gid: random(3),
    mtime: `${1_500_000_000 + random(1000)}.${random(10)}`,
  };
  switch (random(10)) {
    case 0:
    case 1:
      return { ...common, type: 'directory', mode: 0o700 + random(8), xattrs: xattrs(random) };
    case 2:
      return { ...common, type: 'symlink', link: targets[random(targets.length)]! };
    case 3:
      if (files.length === 0) return { ...common, type: 'fifo' };
      return { ...common, type: 'hardlink', link: files[random(files.length)]! };
    case 4:
    case 5:
      return { path: `${directory}.wh.${name}` };
    case 6:
      return { path: `${directory}.wh..wh..opq` };
    case 7:
      return { ...common, type: 'fifo' };
    default:
      return {
        ...common,
        content: `content ${random(1000)}`,
        mode: 0o4600 + random(64),
        xattrs: xattrs(random),
      };
  }
}

function xattrs(random: (below: number) => number): Record<string, string> {
  return random(3) === 0 ? { [`user.${names[random(names.length)]}`]: String(random(100)) } : {};
}

/** mulberry32: the next number below a bound. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
