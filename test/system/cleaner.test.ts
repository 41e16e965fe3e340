import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { loopFilesystem } from '../support/loop-filesystem.ts';
import { repository } from '../support/paths.ts';

/** Of an image, and of a version of a deployment. */
const deployments = { btrfs: 'tiny/3', overlay: 'tiny%3A1' };

/** Runs the cleaner as the booted system does, with a store that it sees read-only, and lists what is left. */
const clean = `
mount -t tmpfs none /run
mkdir /run/initramfs
mount --bind "$2/store" /mnt
mount -o remount,bind,ro none /mnt
printf '%s\\n' /mnt "$3" "$4" "$5" "$6" > /run/initramfs/clean.order
busybox sh "$1"
cd "$2/store/deployments/$3" && find . -maxdepth 2 -path './*' ! -path './*/upper' ! -path './*/work' ! -path './*/on' ! -path './*/file' ! -name '*.toplayer' | LC_ALL=C sort
`;

interface Cleaning {
  keep: number;
  base?: string;
  foreign?: string[];
  nested?: string;
  /** Names -> what they were made on. */
  madeOn?: Record<string, string>;
  persistentTopLayer?: string;
}

describe.each(['btrfs', 'overlay'] as const)('the cleaner on a store of the %s driver', (driver) => {
  const cleaned = async (names: string[], options: Cleaning): Promise<string[]> =>
    cleanedOf(driver, names, options);
  const all = ['ephemeral', 'ephemeral.1', 'ephemeral.2', 'ephemeral.9', 'ephemeral.10', 'persistent'];

  it('keeps as many earlier layers as it is told, the latest', async () => {
    expect(await cleaned(all, { keep: 1 })).toEqual(['ephemeral', 'ephemeral.10', 'persistent']);
    expect(await cleaned(all, { keep: 3 })).toEqual([
      'ephemeral',
      'ephemeral.10',
      'ephemeral.2',
      'ephemeral.9',
      'persistent',
    ]);
    expect(await cleaned(all, { keep: 0 })).toEqual(['ephemeral', 'persistent']);
  });

  it('deletes what killed boots and cleaners left, and merged top layers that nobody needs', async () => {
    const names = [
      '.new.1',
      '.trash.3',
      '.trash.x',
      'base.aa.11',
      'base.aa.22',
      'ephemeral',
      'ephemeral.1',
      'other',
    ];
    expect(await cleaned(names, { keep: 0, base: 'base.aa.11' })).toEqual([
      'base.aa.11',
      'ephemeral',
      'other',
    ]);
    expect(await cleaned(['base.aa.11', 'ephemeral'], { keep: 0 })).toEqual(['ephemeral']);
  });
});

describe.each(['btrfs', 'overlay'] as const)('the merged top layers, by the cleaner on %s,', (driver) => {
  it('stay as long as a layer is kept that was made on them', async () => {
    const bases = ['base.aa.11', 'base.bb.11', 'base.cc.11', 'base.dd.11', 'base.ee.11'];
    const names = [...bases, 'ephemeral', 'ephemeral.1', 'ephemeral.2', 'persistent'];
    const left = await cleanedOf(driver, names, {
      keep: 1,
      base: 'base.aa.11',
      madeOn: { ephemeral: 'base.bb.11', 'ephemeral.1': 'base.cc.11', 'ephemeral.2': 'base.dd.11' },
      persistentTopLayer: 'sha256:ee',
    });
    const gone = ['base.cc.11', 'ephemeral.1'];
    expect(left).toEqual(names.filter((name) => !gone.includes(name)));
  });
});

describe('the cleaner on btrfs', () => {
  const cleaned = async (names: string[], options: Cleaning): Promise<string[]> =>
    cleanedOf('btrfs', names, options);

  it('leaves subvolumes alone that are not ours', async () => {
    const names = ['ephemeral', 'ephemeral.1', 'ephemeral.2', 'base.x.y'];
    expect(await cleaned(names, { keep: 0, foreign: ['ephemeral.1', 'base.x.y'] })).toEqual([
      'base.x.y',
      'ephemeral',
      'ephemeral.1',
    ]);
  });

  it('deletes the subvolumes that the system made inside', async () => {
    expect(await cleaned(['ephemeral', 'ephemeral.1'], { keep: 0, nested: 'ephemeral.1' })).toEqual([
      'ephemeral',
    ]);
  });
});

/** Makes layers by name, those of `foreign` without our mark, and cleans. @returns the names that are left */
async function cleanedOf(driver: 'btrfs' | 'overlay', names: string[], options: Cleaning): Promise<string[]> {
  const type = driver === 'btrfs' ? 'btrfs' : 'ext4';
  await using filesystem = await loopFilesystem({ type, sizeBytes: 128 * 2 ** 20 });
  const place = path.join(filesystem.mountPoint, 'store/deployments', deployments[driver]);
  const make = driver === 'btrfs' ? 'btrfs -q subvolume create "$1"' : 'mkdir -p "$1/upper" "$1/work"';
  const mark = driver === 'btrfs' ? 'mkdir -p "made/$(stat -f -c %i "$1")"' : ':';
  await execa('mkdir', ['-p', place]);
  for (const name of names) {
    const script = options.foreign?.includes(name) ? make : `${make}; ${mark}`;
    await execa('sh', ['-euc', `${script}; touch "$1/file"`, 'sh', name], { cwd: place });
  }
  for (const [name, base] of Object.entries(options.madeOn ?? {})) {
    const on = driver === 'btrfs' ? '"made/$(stat -f -c %i "$1")' : '"$1/on';
    await execa('sh', ['-euc', `mkdir -p ${on}/abc/$2"`, 'sh', name, base], { cwd: place });
  }
  if (options.persistentTopLayer !== undefined)
    await writeFile(path.join(place, 'persistent.toplayer'), `${options.persistentTopLayer}\n`);
  if (options.nested !== undefined) {
    const script =
      'btrfs -q subvolume create "$1/a b"; btrfs -q subvolume create "$1/a b/c"; btrfs property set -ts "$1/a b" ro true';
    await execa('sh', ['-euc', script, 'sh', options.nested], { cwd: place });
  }
  const isolated = ['--mount', '--propagation', 'private', 'sh', '-uc', clean, 'sh'];
  const cleaner = path.join(repository, 'hooks/lib/clean');
  const order = [deployments[driver], String(options.keep), driver, options.base ?? ''];
  const { stdout } = await execa('unshare', [...isolated, cleaner, filesystem.mountPoint, ...order]);
  const left = stdout.split('\n').map((name) => name.replace('./', ''));
  const layers = left.filter((name) => name !== '' && !/^made|is not deleted/.test(name));
  // The marks of what is gone are gone, too.
  const marked = layers.filter((name) => driver === 'btrfs' && !options.foreign?.includes(name));
  expect(left.filter((name) => name.startsWith('made/'))).toHaveLength(marked.length);
  return layers;
}
