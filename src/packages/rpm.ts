import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CommandFailed, ImgbootError } from '../errors.ts';
import { runCommand } from '../system/exec.ts';
import type { RootedTree } from '../system/rooted.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import type { DatabaseReader, InstalledPackage, PackageFiles } from './package.ts';

/** Where distributions keep it. All may be one directory. */
const DIRECTORIES = ['/usr/lib/sysimage/rpm', '/usr/share/rpm', '/var/lib/rpm'];
/** Of sqlite, ndb and Berkeley DB. */
const DATABASES = ['rpmdb.sqlite', 'Packages.db', 'Packages'];

const SEPARATOR = '\u001f';
const TAGS = ['%{NAME}', '%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}', '%{ARCH}'].join(SEPARATOR);

/** Fedora's and SUSE's, read by rpm itself: its database is a library's, and has had three forms. */
export const rpm: DatabaseReader = {
  packages: async (tree) => (await query(tree, `${TAGS}\\n`)).split('\n').flatMap(packageOf),
  async files(tree) {
    const records = (await query(tree, `${TAGS}\\n[%{FILENAMES}\\n]\\n`)).split('\n\n');
    return records.flatMap((record): PackageFiles[] => {
      const end = record.indexOf('\n');
      const [installed] = packageOf(end === -1 ? record : record.slice(0, end));
      if (installed === undefined) return [];
      return [{ package: installed, paths: end === -1 ? '' : record.slice(end + 1) }];
    });
  },
};

/** Keys of publishers are packages to rpm. */
function packageOf(line: string): InstalledPackage[] {
  const [name, version, architecture] = line.split(SEPARATOR);
  if (name === undefined || version === undefined || architecture === undefined) return [];
  if (name === '' || name === 'gpg-pubkey') return [];
  return [{ name, version, architecture: architecture === '(none)' ? '' : architecture, manager: 'rpm' }];
}

/** Of a copy: rpm follows links, and makes locks beside what it reads, which must not come into an image. */
async function query(tree: RootedTree, format: string): Promise<string> {
  const directory = DIRECTORIES.find((place) =>
    DATABASES.some((name) => tree.resolveFile(`${place}/${name}`) !== undefined),
  );
  if (directory === undefined) return '';
  await using scratch = await TemporaryDirectory.create();
  const copy = path.join(scratch.path, 'db');
  await mkdir(copy);
  for (const name of tree.list(directory)) {
    const content = tree.readFile(`${directory}/${name}`);
    if (content !== undefined) await writeFile(path.join(copy, name), content);
  }
  // Names need not be text.
  const file = path.join(scratch.path, 'answer');
  const words = ['--dbpath', copy, '--nosignature', '--nodigest', '-qa', '--queryformat', format];
  try {
    await runCommand('rpm', words, { outputTo: { file } });
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    throw new ImgbootError(
      'IMGBOOT_PACKAGES_UNREADABLE',
      `the packages of ${tree.root} are in ${directory}, which rpm reads: ${cause.message}`,
      { cause, hint: cause.exitCode === undefined ? 'install rpm on this machine' : undefined },
    );
  }
  return await readFile(file, 'latin1');
}
