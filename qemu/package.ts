import { chmod, copyFile, cp, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { requirementName, requirementsOf, type Capability } from '../src/system/requirements.ts';

// `npm run package [DIRECTORY]`: one self-contained tarball, and a .deb of the same files, for machines without Node;
// the word `tarball` after DIRECTORY leaves out the .deb.
// Same sources, same bytes: names are sorted, owners are root, times are SOURCE_DATE_EPOCH or the last commit's.

$.verbose = false;
process.chdir(path.resolve(import.meta.dirname, '..'));

interface PackageJson {
  version: string;
  description: string;
  [key: string]: unknown;
}

interface LockFile {
  packages: Record<string, { dev?: boolean; devOptional?: boolean; optional?: boolean }>;
}

/** What koffi builds its binary from; the binary is in a package of its own. */
const sourcesOfKoffi = new Set(['node_modules/koffi/vendor', 'node_modules/koffi/doc']);
/** Beside the scripts that load it. */
const sourceOfKoffi = /^node_modules\/koffi\/src\/.*\.(c|cc|h|hh|inc|asm|S|txt)$/;

const packageJson = JSON.parse(await readFile('package.json', 'utf8')) as PackageJson;
const { version } = packageJson;
const output = path.resolve(process.argv[2] ?? 'out');
const work = path.join(output, 'package.part');
const top = path.join(work, `imgboot-${version}`);
const epoch = await sourceDate();

try {
  await rm(work, { recursive: true, force: true });
  await mkdir(top, { recursive: true });
  say('collecting the files');
  await collect();
  say('writing the tarball');
  const tarball = await writeTarball();
  const packages = [tarball];
  if (process.argv[3] !== 'tarball') {
    say('writing the .deb');
    packages.push(await writeDeb());
  }
  for (const file of packages) {
    const { size } = await stat(file);
    process.stdout.write(`${path.relative('.', file)}  ${(size / 1e6).toFixed(1)} MB\n`);
  }
} finally {
  await rm(work, { recursive: true, force: true });
}

/** Puts together what is installed, under `top`. */
async function collect(): Promise<void> {
  for (const name of ['bin', 'hooks', 'boot-templates', 'systemd', 'LICENSE', 'README.md', 'CHANGELOG.md']) {
    if (await exists(name)) await cp(name, path.join(top, name), { recursive: true });
  }
  await copyFile('node_modules/node/bin/node', path.join(top, 'bin/node'));
  await cp('docs/man', path.join(top, 'share/man/man1'), { recursive: true });
  for (const directory of await productionPackages()) {
    await cp(directory, path.join(top, directory), {
      recursive: true,
      filter: (source) => source === directory || isNeededToRun(source),
    });
  }
  await $`tsc -p tsconfig.build.json --outDir ${path.join(top, 'dist')}`;
  const { scripts: _scripts, devDependencies: _dev, allowScripts: _allow, ...installed } = packageJson;
  await writeFile(path.join(top, 'package.json'), `${JSON.stringify(installed, null, 2)}\n`);
  await $({ cwd: top })`${path.resolve('node_modules/.bin/oclif')} manifest`;
  await sortManifest(path.join(top, 'oclif.manifest.json'));
  await $`chmod -R u=rwX,go=rX ${top}`;
}

/** oclif lists the commands in the order in which their modules happened to load. */
async function sortManifest(file: string): Promise<void> {
  const manifest = JSON.parse(await readFile(file, 'utf8')) as { commands: Record<string, unknown> };
  const commands = Object.entries(manifest.commands).sort(([one], [other]) => (one < other ? -1 : 1));
  await writeFile(
    file,
    `${JSON.stringify({ ...manifest, commands: Object.fromEntries(commands) }, null, 2)}\n`,
  );
}

/** The installed packages that package-lock.json counts as needed to run. */
async function productionPackages(): Promise<string[]> {
  const lock = JSON.parse(await readFile('package-lock.json', 'utf8')) as LockFile;
  const found: string[] = [];
  for (const [directory, entry] of Object.entries(lock.packages)) {
    if (directory === '' || entry.dev === true || entry.devOptional === true) continue;
    // Optional ones are the same library for other processors and systems: npm has installed ours.
    if (await exists(directory)) found.push(directory);
    else if (entry.optional !== true) throw new Error(`${directory} is not installed: npm ci`);
  }
  return found.sort();
}

/** Nested packages are left out here, being entries of the lock file themselves. */
function isNeededToRun(file: string): boolean {
  if (sourcesOfKoffi.has(file) || sourceOfKoffi.test(file)) return false;
  return !file.endsWith('/node_modules') && !/\.(md|map|d\.[cm]?ts)$/.test(file);
}

async function writeTarball(): Promise<string> {
  const target = path.join(output, `imgboot-${version}-linux-x64.tar.gz`);
  const aside = path.join(work, 'tarball');
  // Also tar's children get a fixed environment: gzip writes no name and no time with -n.
  await $({
    cwd: work,
  })`tar --create --sort=name --mtime=@${epoch} --owner=0 --group=0 --numeric-owner --format=gnu --use-compress-program ${'gzip -9n'} --file ${aside} ${`imgboot-${version}`}`;
  await rm(target, { force: true });
  await $`mv ${aside} ${target}`;
  return target;
}

async function writeDeb(): Promise<string> {
  const target = path.join(output, `imgboot_${version}_amd64.deb`);
  const root = path.join(work, 'deb');
  for (const directory of ['DEBIAN', 'usr/lib/systemd', 'usr/bin', 'usr/share/doc/imgboot']) {
    await mkdir(path.join(root, directory), { recursive: true });
  }
  await $`mv ${top} ${path.join(root, 'usr/lib/imgboot')}`;
  await $`mv ${path.join(root, 'usr/lib/imgboot/systemd')} ${path.join(root, 'usr/lib/systemd/system')}`;
  await symlink('../lib/imgboot/bin/imgboot', path.join(root, 'usr/bin/imgboot'));
  await mkdir(path.join(root, 'usr/share/man'));
  await $`mv ${path.join(root, 'usr/lib/imgboot/share/man/man1')} ${path.join(root, 'usr/share/man/man1')}`;
  await $`rm -r ${path.join(root, 'usr/lib/imgboot/share')}`;
  await $`find ${path.join(root, 'usr/share/man')} -type f -exec gzip -9n {} +`;
  await copyFile('LICENSE', path.join(root, 'usr/share/doc/imgboot/copyright'));
  await writeFile(path.join(root, 'DEBIAN/control'), await controlFile(root));
  await chmod(root, 0o755);
  await $`chmod -R u=rwX,go=rX ${root}`;
  const environment = { ...process.env, SOURCE_DATE_EPOCH: epoch };
  // dpkg-deb only lowers times that are later than SOURCE_DATE_EPOCH.
  await $`find ${root} -exec touch --no-dereference --date=@${epoch} {} +`;
  const aside = path.join(work, 'package.deb');
  await $({ env: environment })`dpkg-deb --root-owner-group -Zxz -z2 --build ${root} ${aside}`;
  await rm(target, { force: true });
  await $`mv ${aside} ${target}`;
  return target;
}

async function controlFile(root: string): Promise<string> {
  const { stdout: size } =
    await $`du --summarize --apparent-size --block-size=1024 ${path.join(root, 'usr')}`;
  // Node is linked with the C++ library; it itself comes along.
  const depends = ['libc6 (>= 2.28)', 'libstdc++6', 'libgcc-s1', ...debianPackages(['store'], 'required')];
  const recommends = debianPackages(['store', 'images', 'bootstrap', 'mkinitramfs', 'qemu'], 'any');
  const suggests = debianPackages(['run', 'build'], 'any');
  const unlisted = (names: string[], ...lists: string[][]): string[] =>
    names.filter((name) => !lists.flat().includes(name));
  return `${[
    'Package: imgboot',
    `Version: ${version}`,
    'Architecture: amd64',
    'Section: admin',
    'Priority: optional',
    'Maintainer: the imgboot authors <imgboot@localhost>',
    `Installed-Size: ${size.split('\t')[0]}`,
    `Depends: ${depends.join(', ')}`,
    `Recommends: ${unlisted(recommends, depends).join(', ')}`,
    `Suggests: ${unlisted(suggests, depends, recommends).join(', ')}`,
    `Description: ${packageJson.description.split(':')[0]}`,
    ' Builds and keeps container images, makes their initramfs, and boots machines',
    ' from them: in QEMU, or on bare metal. Brings its own Node.js.',
  ].join('\n')}\n`;
}

/** Debian's names for what some capabilities need. */
function debianPackages(of: readonly Capability[], which: 'required' | 'any'): string[] {
  const names = of.flatMap((capability) =>
    requirementsOf(capability).flatMap((requirement) => {
      if (!('packages' in requirement) || (which === 'required' && requirement.optional)) return [];
      const name = requirement.packages.apt;
      if (name === undefined) throw new Error(`no Debian package has ${requirementName(requirement)}`);
      return [name];
    }),
  );
  return [...new Set(names)].sort();
}

async function sourceDate(): Promise<string> {
  const given = process.env['SOURCE_DATE_EPOCH'];
  if (given !== undefined) return given;
  const commit = await $({ nothrow: true })`git log -1 --format=%ct`;
  // Sources without their history: the earliest time that every archive format can hold.
  return commit.exitCode === 0 && commit.stdout.trim() !== '' ? commit.stdout.trim() : '315532800';
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

function say(step: string): void {
  process.stderr.write(`package: ${step}\n`);
}
