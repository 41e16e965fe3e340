import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ownersOf, readPackages } from '../../src/packages/read-packages.ts';
import { compareVersions } from '../../src/packages/version-order.ts';
import { RootedTree } from '../../src/system/rooted.ts';
import { minimalTar } from '../support/fixtures.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

// dpkg itself says what is right.
describe('the packages of a Debian', () => {
  let directory: TemporaryDirectory;
  let root: string;
  let admin: string;

  beforeAll(async () => {
    directory = await TemporaryDirectory.create();
    root = path.join(directory.path, 'root');
    admin = `--admindir=${root}/var/lib/dpkg`;
    mkdirSync(root);
    const members = ['var/lib/dpkg', 'bin', 'sbin', 'lib', 'lib64', 'usr/bin', 'usr/sbin', 'usr/lib', 'etc'];
    await execa('tar', ['-xf', await minimalTar(), '-C', root, ...members.map((member) => `./${member}`)]);
  });
  afterAll(async () => await directory[Symbol.asyncDispose]());

  it('are what dpkg-query lists', async () => {
    const format = '${Package} ${Version} ${Architecture}\n';
    const { stdout } = await execa('dpkg-query', [admin, '--show', `--showformat=${format}`]);
    const { answer } = await readPackages(new RootedTree(root));
    const lines = answer.map(({ name, version, architecture }) => `${name} ${version} ${architecture}`);
    expect(lines.length).toBeGreaterThan(50);
    expect(lines.sort()).toEqual(stdout.split('\n').sort());
  });

  it('own the files that dpkg -S says they own', async () => {
    const listed = await execa('sh', ['-c', `cat "$0"/var/lib/dpkg/info/*.list | sort -u`, root]);
    const paths = listed.stdout.split('\n').filter((name) => name !== '/.');
    expect(paths.length).toBeGreaterThan(5_000);
    const { stdout } = await execa('dpkg', [admin, '--search', ...paths]);
    // `a:amd64, b: /path`; what is diverted has lines of its own.
    const expected = new Map<string, string>();
    for (const line of stdout.split('\n').filter((text) => !text.startsWith('diversion by '))) {
      const [, names, name] = /^(.*?): (\/.*)$/.exec(line)!;
      const owners = names!.split(', ').map((owner) => owner.replace(/:.*/, ''));
      expected.set(name!, owners.sort().join(' '));
    }
    const { answer } = await ownersOf(new RootedTree(root), paths);
    const different = paths.filter((name) => {
      const found = answer.get(name)!.map((owner) => owner.name);
      return found.sort().join(' ') !== expected.get(name);
    });
    // Packages list them under either name; dpkg does not know that it is one directory.
    const directories = ['systemd', 'systemd/system', 'udev', 'udev/rules.d', 'x86_64-linux-gnu'];
    expect(different.sort()).toEqual(
      ['/lib', '/usr/lib'].flatMap((lib) => directories.map((name) => `${lib}/${name}`)),
    );
  });

  it('own a file under each of its names', async () => {
    const { answer } = await ownersOf(new RootedTree(root), ['/usr/bin/bash', '/bin/bash', '/usr/bin/sh']);
    expect([...answer].map(([name, owners]) => [name, owners.map((owner) => owner.name)])).toEqual([
      ['/usr/bin/bash', ['bash']],
      ['/bin/bash', ['bash']],
      ['/usr/bin/sh', ['dash']],
    ]);
  });
});

it('the versions of Debian packages are ordered as dpkg orders them', async () => {
  const versions =
    '1 1.0 1.00 1.0-0 1.0-1 1.0-1+b1 1.0-1.1 1.0+dfsg-1 1.0~rc1-1 1.0~rc1~git-1 1:0.1 1.0a 1.0+ 1.0.1 10.0 09 1-1-1 1.~a 1.0-1~bpo11+1'.split(
      ' ',
    );
  const pairs = versions.flatMap((a) => versions.map((b) => [a, b] as const));
  const script = `while read -r a b; do if dpkg --compare-versions "$a" lt "$b" 2> /dev/null; then echo -1
    elif dpkg --compare-versions "$a" eq "$b" 2> /dev/null; then echo 0; else echo 1; fi; done`;
  const input = pairs.map((pair) => pair.join(' ')).join('\n');
  const { stdout } = await execa('sh', ['-c', script], { input: `${input}\n` });
  const ours = pairs.map(([a, b]) => `${a} ${b} ${Math.sign(compareVersions('dpkg', a, b))}`);
  expect(ours).toEqual(stdout.split('\n').map((order, at) => `${pairs[at]!.join(' ')} ${order}`));
});
