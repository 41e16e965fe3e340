import { mkdirSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ImageComparison } from '../../src/origin/compare-images.ts';
import { runJob } from '../../src/origin/compare-images.job.ts';
import type { LayerName } from '../../src/store/paths.ts';
import { makeBaseTar } from '../support/build-fixtures.ts';
import { writeTree } from '../support/file-tree.ts';
import { randomLayers } from '../support/random-layers.ts';
import { build } from '../support/run-build.ts';
import { runCli, runCliAsNobody, runCliOk } from '../support/run-cli.ts';
import { tar } from '../support/tar-builder.ts';
import { drivers, storeFilesystem, type StoreFilesystem, type TestStore } from '../support/test-store.ts';

// Of whose layers none puts a file below a file.
const seeds = [9, 28, 66, 76, 78, 90, 96, 101, 121, 138];

/** What an image's root file system has at a path: all but the time, and the time. */
type Facts = [facts: string, time: string];

describe('images of random layers', () => {
  const filesystems: Record<string, StoreFilesystem> = {};
  const stores: Record<string, TestStore> = {};

  beforeAll(async () => {
    for (const driver of drivers) {
      const filesystem = (filesystems[driver.driver] = await storeFilesystem(driver));
      const store = (stores[driver.driver] = filesystem.store());
      const images = seeds.flatMap((seed) => imagesOf(seed));
      await store.load(filesystem.layout(...images));
    }
  });
  afterAll(async () => {
    for (const filesystem of Object.values(filesystems)) await filesystem[Symbol.asyncDispose]();
  });

  /** Two images with some layers in common: all of the first's, some, or none. */
  function imagesOf(seed: number): { name: string; layers: Buffer[] }[] {
    const [shared, first, second] = [2, seed % 3, 1 + (seed % 2)];
    const common = randomLayers(seed, { layers: shared, entries: 14 });
    const own = [first, second].map((count, index) =>
      randomLayers(1000 * (index + 1) + seed, { layers: count, entries: 10 }),
    );
    const base = tar({ path: './', type: 'directory' }, { path: `only-${seed}`, content: String(seed) });
    const other = tar({ path: './', type: 'directory' }, { path: 'only-other', content: String(seed) });
    const layers = (layer: Buffer, rest: typeof common): Buffer[] => [
      layer,
      ...rest.map((entries) => tar(...entries)),
    ];
    return [
      { name: `before:${seed}`, layers: layers(base, [...common, ...own[0]!]) },
      { name: `after:${seed}`, layers: layers(seed % 6 === 5 ? other : base, [...common, ...own[1]!]) },
    ];
  }

  const chainOf = (store: TestStore, name: string): LayerName[] =>
    store.store
      .image(name)
      .layers.map((layer) => layer.name)
      .toReversed();

  const pairs = seeds.flatMap((seed) => [
    [`before:${seed}`, `after:${seed}`] as const,
    [`after:${seed}`, `before:${seed}`] as const,
  ]);

  it.each(pairs)('%s and %s differ as GNU find says', async (first, second) => {
    const btrfs = stores['btrfs']!;
    const [before, after] = await Promise.all(
      [first, second].map((name) => factsOf(path.join(btrfs.path, 'layers', chainOf(btrfs, name)[0]!))),
    );
    const expected = differences(before!, after!);
    for (const { driver } of drivers) {
      const store = stores[driver]!;
      const job = {
        driver,
        layers: store.store.paths.layers,
        before: chainOf(store, first),
        after: chainOf(store, second),
        packages: false,
        files: true,
        scratch: filesystems[driver]!.directory(),
      };
      const { files } = await runJob(job, { progress: () => {} });
      const found = files.map(
        ({ kind, path: at, aspects }) => `${kind}${aspects.join() === 'time' ? ' time' : ''} ${at}`,
      );
      expect([driver, ...found.sort()]).toEqual([driver, ...expected]);
    }
  });
});

/** By path, as GNU find, sha256 and getfattr see it. */
async function factsOf(root: string): Promise<Map<string, Facts>> {
  const { stdout } = await execa('find', ['.', '-printf', String.raw`%P\0%y %m %U %G %l\0%T@\0`], {
    cwd: root,
  });
  const words = stdout.split('\0');
  const { stdout: attributes } = await execa('getfattr', ['-R', '-h', '-P', '-d', '-m', 'user', '.'], {
    cwd: root,
  });
  const facts = new Map<string, Facts>();
  for (let at = 0; at + 2 < words.length; at += 3) {
    const [name, what, time] = words.slice(at, at + 3) as [string, string, string];
    const content = what.startsWith('f ')
      ? createHash('sha256')
          .update(readFileSync(path.join(root, name)))
          .digest('hex')
      : '';
    const own =
      new RegExp(`^# file: ${name === '' ? '\\.' : name}\n([^]*?)\n(?:\n|$)`, 'm').exec(
        `${attributes}\n`,
      )?.[1] ?? '';
    facts.set(name === '' ? '' : `/${name}`, [`${what} ${content} ${own}`, what.startsWith('d') ? '' : time]);
  }
  return facts;
}

function differences(before: Map<string, Facts>, after: Map<string, Facts>): string[] {
  const isDirectory = ([facts]: Facts): boolean => facts.startsWith('d');
  return [...new Set([...before.keys(), ...after.keys()])]
    .flatMap((at) => {
      const [was, is] = [before.get(at), after.get(at)];
      if (was === undefined) return `added ${at}`;
      if (is === undefined) return `removed ${at}`;
      if (isDirectory(was) !== isDirectory(is)) return [`removed ${at}`, `added ${at}`];
      if (was[0] !== is[0]) return `changed ${at}`;
      return was[1] === is[1] ? [] : `changed time ${at}`;
    })
    .sort();
}

const status = (packages: Record<string, string>): string =>
  Object.entries(packages)
    .map(
      ([name, version]) =>
        `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\n`,
    )
    .join('\n');

describe.each(drivers)('imgboot image diff, with the $driver driver,', (driver) => {
  let filesystem: StoreFilesystem;
  let store: TestStore;

  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
    store = filesystem.store();
    const base = await makeBaseTar(filesystem.directory());
    await store.cliOk('import', [base, 'base:1']);
    await make('one:1', {
      Dockerfile:
        'FROM base:1\nCOPY root/ /\nRUN ln /etc/one /etc/two; mkdir /opt/gone; echo x > /opt/gone/x',
      'root/etc/one': 'one\n',
      'root/var/lib/dpkg/status': status({ same: '1', up: '9.0', down: '2', gone: '1:3' }),
    });
    await make('two:1', {
      Dockerfile: `FROM one:1
COPY root/ /
RUN rm -r /opt/gone /var/log; chmod 600 /etc/one; mkdir -p /srv/new/deep /srv/empty; echo 1 > /srv/new/a; \\
  echo 22 > /srv/new/deep/b; touch -d @1 /etc/group; rm /lib; ln -s /etc /lib; rm -r /opt/data; ln -s /etc /opt/data
`,
      'root/var/lib/dpkg/status': status({ same: '1', up: '10.0', down: '1', come: '5' }),
      'root/etc/two lines\nhere': 'x',
    });
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  async function make(name: string, files: Parameters<typeof writeTree>[1]): Promise<void> {
    const directory = filesystem.directory('context');
    mkdirSync(directory, { recursive: true });
    writeTree(directory, files);
    await build(store, { context: directory, references: [name] });
  }

  const diff = async (...args: string[]): Promise<string> =>
    runCliOk(['image', 'diff', '--store', store.path, ...args]);

  it('says what became of packages and files', async () => {
    expect(await diff('one:1', 'two:1')).toBe(`Packages: 1 upgraded, 1 downgraded, 1 added, 1 removed
CHANGE      NAME  ARCHITECTURE  VERSION
added       come  amd64         5
downgraded  down  amd64         2 -> 1
removed     gone  amd64         1:3
upgraded    up    amd64         9.0 -> 10.0

Files: 8 added (+6 B), 10 removed (-20 B), 3 changed (-1 B); another time and nothing else: 1 (--all)
C /etc/one  4 B  mode
A /etc/two lines\\x0ahere  1 B
C /lib  target
D /opt/data/  4 files, 14 B
A /opt/data
D /opt/gone/  1 file, 2 B
A /srv/  2 files, 5 B
C /var/lib/dpkg/status  301 B -> 300 B  content
D /var/log/  1 file, 4 B
`);
  });

  it('lists each file with --all, and only what is asked for', async () => {
    expect(await diff('two:1', 'one:1', '--files', '--all')).toMatch(
      /^Files: 10 added .*\nC \/etc\/group {2}\d+ B {2}time\n.*\nD \/srv\/new\/\nD \/srv\/new\/a {2}2 B\n/s,
    );
    expect(await diff('two:1', 'two:1')).toBe('Packages: no difference\n\nFiles: no difference\n');
    expect(await diff('base:1', 'one:1', '--packages')).toMatch(/^Packages: 4 added\n/);
  });

  it('tells all of it as JSON', async () => {
    const answer = JSON.parse(await diff('one:1', 'two:1', '--json')) as ImageComparison;
    expect(answer.packages[1]).toEqual({
      kind: 'downgraded',
      name: 'down',
      manager: 'dpkg',
      architecture: 'amd64',
      from: '2',
      to: '1',
    });
    expect(answer.files.filter(({ path: at }) => /^\/(srv|etc)\//.test(at))).toEqual([
      { kind: 'changed', path: '/etc/group', type: 'file', aspects: ['time'], sizeBytes: [54, 54] },
      { kind: 'changed', path: '/etc/one', type: 'file', aspects: ['mode'], sizeBytes: [4, 4] },
      { kind: 'added', path: '/etc/two lines\\x0ahere', type: 'file', aspects: [], sizeBytes: [0, 1] },
      { kind: 'added', path: '/srv/empty', type: 'directory', aspects: [], sizeBytes: [0, 0] },
      { kind: 'added', path: '/srv/new', type: 'directory', aspects: [], sizeBytes: [0, 0] },
      { kind: 'added', path: '/srv/new/a', type: 'file', aspects: [], sizeBytes: [0, 2] },
      { kind: 'added', path: '/srv/new/deep', type: 'directory', aspects: [], sizeBytes: [0, 0] },
      { kind: 'added', path: '/srv/new/deep/b', type: 'file', aspects: [], sizeBytes: [0, 3] },
    ]);
  });

  it('refuses what is no image, and who is not root', async () => {
    const args = ['image', 'diff', '--store', store.path, 'one:1', 'none:1'];
    expect((await runCli(args)).stderr).toContain('has no image none:1');
    expect((await runCliAsNobody(args)).stderr).toContain('image diff needs root');
  });
});
