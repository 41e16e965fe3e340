import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { execa } from 'execa';
import { TemporaryDirectory } from './temporary-directory.ts';

interface PackageSpec {
  name: string;
  version: string;
  depends?: string;
  /** By path; one that begins with a `#!` is a program. */
  files: Record<string, string>;
  configuration?: readonly string[];
}

/**
 * A build context that brings a package archive in /srv/repo, which is the only one that apt knows there: packages are
 * installed without a network.
 */
export async function writePackageRepository(
  context: string,
  { from, packages }: { from: string; packages: readonly PackageSpec[] },
): Promise<void> {
  const archive = path.join(context, 'repo');
  await mkdir(archive, { recursive: true });
  const stanzas: string[] = [];
  await using work = await TemporaryDirectory.create();
  for (const spec of packages) {
    const deb = path.join(archive, `${spec.name}.deb`);
    await buildPackage(path.join(work.path, spec.name), { spec, deb });
    const { stdout: fields } = await execa('dpkg-deb', ['--field', deb]);
    const digest = createHash('sha256')
      .update(await readFile(deb))
      .digest('hex');
    const { size } = await stat(deb);
    stanzas.push(`${fields}\nFilename: ./${spec.name}.deb\nSize: ${size}\nSHA256: ${digest}\n`);
  }
  await writeFile(path.join(archive, 'Packages'), stanzas.join('\n'));
  await writeFile(path.join(context, 'sources.list'), 'deb [trusted=yes] file:/srv/repo ./\n');
  const lines = [`FROM ${from}`, 'COPY repo /srv/repo', 'COPY sources.list /etc/apt/sources.list', ''];
  await writeFile(path.join(context, 'Dockerfile'), lines.join('\n'));
}

async function buildPackage(tree: string, { spec, deb }: { spec: PackageSpec; deb: string }): Promise<void> {
  for (const [name, content] of Object.entries(spec.files)) {
    const file = path.join(tree, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
    await chmod(file, content.startsWith('#!') ? 0o755 : 0o644);
  }
  await mkdir(path.join(tree, 'DEBIAN'), { recursive: true });
  const depends = spec.depends === undefined ? [] : [`Depends: ${spec.depends}`];
  const control = [
    `Package: ${spec.name}`,
    `Version: ${spec.version}`,
    'Architecture: all',
    'Maintainer: Nobody <nobody@example.org>',
    ...depends,
    'Description: for a test',
    '',
  ];
  await writeFile(path.join(tree, 'DEBIAN/control'), control.join('\n'));
  const configuration = (spec.configuration ?? []).map((name) => `/${name}\n`).join('');
  if (configuration !== '') await writeFile(path.join(tree, 'DEBIAN/conffiles'), configuration);
  await execa('dpkg-deb', ['--root-owner-group', '--build', tree, deb]);
}
