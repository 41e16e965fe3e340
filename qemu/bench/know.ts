import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { deployImage } from '../../src/deploy/deploy.ts';
import { Store } from '../../src/store/store.ts';
import { bootRoot } from '../../test/support/boot-root.ts';
import { makeBaseTar } from '../../test/support/build-fixtures.ts';
import { stagedRequest } from '../../test/support/deploy-host.ts';
import { writeTree } from '../../test/support/file-tree.ts';
import { loopFilesystem } from '../../test/support/loop-filesystem.ts';
import { best, imgboot, say } from './measure.ts';
import type { Comparison } from './report.ts';

const RUNS = 3;
const PACKAGES = 3000;
const FILES_EACH = 100;
/** What an answer may take. */
const ANSWER_SECONDS = 3;

/** An image of 300,000 files, in packages of a hundred, and what is asked of it before and after a boot. */
export async function measureKnow(): Promise<Comparison[]> {
  return [...(await onFilesystem('btrfs', 'btrfs')), ...(await onFilesystem('ext4', 'overlay'))];
}

const dockerfile = `FROM big:1
COPY root/ /
RUN rm -r /usr/share/big/9; rm /usr/share/big/5/7; chmod 600 /usr/share/big/7/8; cp -r /usr/share/big/11 /srv/; \\
  for i in 1 2 3 4 5 6; do echo changed > /usr/share/big/2$i/$i; done
`;

async function onFilesystem(type: 'btrfs' | 'ext4', driver: 'btrfs' | 'overlay'): Promise<Comparison[]> {
  say(`questions about an image of 300,000 files on ${type}`);
  await using filesystem = await loopFilesystem({ type, sizeBytes: 24 * 2 ** 30 });
  const at = (...names: string[]): string => path.join(filesystem.mountPoint, ...names);
  const store = ['--store', at('store')];
  await importImages(filesystem.mountPoint, { store, driver });
  const context = at('context');
  await mkdir(context);
  writeTree(context, {
    Dockerfile: dockerfile,
    'root/boot/vmlinuz-1.0': Buffer.alloc(1 << 20, 'kernel'),
    'root/usr/lib/modules/1.0/modules.dep': '',
    'root/sbin/init': '#!/bin/sh\n',
    'root/srv/file': '',
  });
  await $`${imgboot} build ${store} --quiet --tag big:2 ${context}`;
  writeTree(at('top'), { 'etc/top': 'top\n', 'usr/share/big/3/.wh.3': '', 'etc/passwd': 'me:x:1:1::/:\n' });
  await boot(at('store'), { directory: at('boot'), top: at('top') });
  await $`sync --file-system ${filesystem.mountPoint}`;

  const ask = async (words: readonly string[]): Promise<number> =>
    best(RUNS, async () => $({ nothrow: true })`${imgboot} ${words} ${store}`);
  const on = `on ${type} (${driver} driver)`;
  const answer = async (what: string, words: readonly string[]): Promise<Comparison> => ({
    what: `${what}, 300,000 files ${on}`,
    ours: { value: await ask(words), unit: 's' },
    target: ANSWER_SECONDS,
  });
  const paths = ['/usr/share/big/5/7', '/usr/share/big/20/8', '/etc/passwd', '/srv/11/1'];
  const [first, second] = ['big:1', 'other:1'].map((name) => rootOf(at('store'), name)) as [string, string];
  return [
    await answer('why, four paths of an image', ['why', 'big:2', ...paths]),
    await answer('why, four paths of a deployment', ['why', 'big/1', ...paths]),
    await answer('image diff, a layer on the other', ['image', 'diff', 'big:1', 'big:2']),
    {
      what: `image diff, no layer in common, 300,000 files ${on}`,
      ours: { value: await ask(['image', 'diff', 'big:1', 'other:1']), unit: 's' },
      peer: {
        name: 'diff -rq, which looks at no owner, mode, time or attribute',
        value: await best(
          RUNS,
          async () => $({ nothrow: true })`diff -rq --no-dereference ${first} ${second}`,
        ),
        unit: 's',
      },
      // It looks at more, and there are as many of those as of files.
      target: 3,
    },
  ];
}

/** big:1, and other:1, which differs in a file and has no layer in common with it. */
async function importImages(
  directory: string,
  { store, driver }: { store: readonly string[]; driver: string },
): Promise<void> {
  const root = path.join(directory, 'root');
  await mkdir(root);
  await $`tar --directory ${root} --extract --file ${await makeBaseTar(directory)}`;
  const info = path.join(root, 'var/lib/dpkg/info');
  await mkdir(info, { recursive: true });
  const names = Array.from({ length: FILES_EACH }, (_, index) => String(index + 1));
  const status: string[] = [];
  for (let number = 1; number <= PACKAGES; number += 1) {
    const place = `usr/share/big/${number}`;
    writeTree(root, Object.fromEntries(names.map((name) => [`${place}/${name}`, `${number} ${name}\n`])));
    const list = [
      '/.',
      '/usr',
      '/usr/share',
      '/usr/share/big',
      `/${place}`,
      ...names.map((name) => `/${place}/${name}`),
    ];
    await writeFile(path.join(info, `package-${number}.list`), `${list.join('\n')}\n`);
    status.push(
      `Package: package-${number}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.${number}\nDescription: of many\n`,
    );
  }
  await writeFile(path.join(root, 'var/lib/dpkg/status'), status.join('\n'));
  await $`sh -euc ${'tar --directory "$1" --create . | "$2" import --store "$3" --driver "$4" - big:1'} sh ${root} ${imgboot} ${store[1]!} ${driver}`;
  await writeFile(path.join(root, 'usr/share/big/1000/10'), '1000 1x\n');
  await $`sh -euc ${'tar --directory "$1" --create . | "$2" import --store "$3" - other:1'} sh ${root} ${imgboot} ${store[1]!}`;
  await rm(root, { recursive: true });
}

/** Deploys big:2 and has its root made and changed as a boot does. */
async function boot(store: string, { directory, top }: { directory: string; top: string }): Promise<void> {
  await mkdir(path.join(directory, 'loader/entries'), { recursive: true });
  const request = { reference: 'big:2', loader: 'systemd-boot', directory: '/loader' } as const;
  await deployImage(Store.open(store), stagedRequest(directory, request));
  const run = 'echo x > etc/new; rm usr/share/big/30/1; echo x >> etc/passwd; cp -r usr/share/big/40 srv/';
  await bootRoot(store, { version: 'big/1', words: `toplayer=${top}`, run });
}

/** The directory of an image's only layer. */
function rootOf(store: string, name: string): string {
  const opened = Store.open(store);
  return opened.paths.layer(opened.image(name).layers[0]!.name);
}
