import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { packLayer } from './boot-fixtures.ts';
import { writeTinySystem } from './tiny-machine.ts';

/** What an engine or a boot adds to a root: no part of the image. */
const added = [
  '.dockerenv',
  'proc',
  'sys',
  'dev',
  'run',
  'tmp',
  'etc/hostname',
  'etc/hosts',
  'etc/resolv.conf',
  'etc/mtab',
  'etc/machine-id',
  'var/lib/docker',
  'var/lib/containers',
  'var/lib/imgboot',
];

/** Prints a line for each path below the working directory: type and mode, owner, links, size, name, target or digest. */
export const listScript = `
find . -xdev ${added.map((name) => `-path ./${name} -prune -o`).join(' ')} -print | sort | while IFS= read -r path; do
  size=- what=-
  if [ -L "$path" ]; then what=$(readlink "$path")
  elif [ -f "$path" ]; then size=$(stat -c %s "$path"); what=$(sha256sum < "$path"); fi
  links=-; [ -d "$path" ] || links=$(stat -c %h "$path")
  printf 'PATH %s %s %s %s %s\\n' "$(stat -c '%f %u:%g' "$path")" "$links" "$size" "$path" "$what"
done`;

/** The tiny system that the engines' images begin with: shows its root, and what a boot before it left there. */
const init = `
for name in $(/bin/busybox --list); do [ -e /bin/$name ] || echo $name; done > /run/missing
mount -t proc proc /proc
echo "FACT mark $(cat /mark 2> /dev/null || echo none)"
echo "FACT top $(cat /etc/top 2> /dev/null || echo none)"
echo "FACT data $(ls -d /var/lib/docker/image /var/lib/containers/storage/*-images 2> /dev/null | tr '\\n' ' ')"
echo "FACT shown $(awk '$2 ~ "^/var/lib/(docker|containers/storage)$" { print substr($4, 1, 2) }' /proc/mounts)"
cd / && ${listScript}
echo marked > /mark
echo REPORT; cat /run/imgboot/boot.json; echo END
cd /run/initramfs && mount --bind . . && cd /run/initramfs && mount --move /dev dev
pivot_root . oldroot && exec /bin/busybox sh /shutdown poweroff < /dev/console > /dev/console 2>&1
`;

/** How many layers the images have, and what they are called. */
export const engineImages = { one: 1, three: 3, sixty: 60 };

/** Writes what the images are made from: `base.tar`, to be imported as base:1, and a context for each of the others. */
export async function writeEngineContexts(directory: string): Promise<void> {
  const root = path.join(directory, 'root');
  await mkdir(path.join(root, 'var/lib/docker'), { recursive: true });
  await mkdir(path.join(root, 'var/lib/containers/storage'), { recursive: true });
  await mkdir(path.join(root, 'opt/deep/er'), { recursive: true });
  for (const name of ['opt/gone', 'opt/deep/old', 'opt/deep/er/old', 'opt/kept'])
    await writeFile(path.join(root, name), `${name}\n`);
  await writeTinySystem(root, init);
  for (const name of [
    'find',
    'sort',
    'stat',
    'sha256sum',
    'readlink',
    'mount',
    'cat',
    'echo',
    'ls',
    'tr',
    'mkdir',
    'rm',
    'awk',
  ])
    await execa('ln', ['-sf', 'busybox', path.join(root, 'bin', name)]);
  for (const name of ['pivot_root', 'chmod', 'chown', 'ln', 'printf'])
    await execa('ln', ['-sf', 'busybox', path.join(root, 'bin', name)]);
  await packLayer(root, path.join(directory, 'base.tar'));
  await context(directory, 'three', [
    'RUN rm /opt/gone && ln /opt/kept /opt/linked && chown 12:34 /opt/kept && chmod 4750 /opt/kept',
    // Deleted and made again in one layer: opaque.
    'RUN rm -r /opt/deep && mkdir /opt/deep && echo new > /opt/deep/new',
  ]);
  const files = Array.from({ length: 57 }, (_, index) => `COPY file /opt/many/${index}`);
  await context(directory, 'sixty', [
    ...files,
    'RUN rm /opt/many/7',
    'RUN rm -r /opt/deep && mkdir /opt/deep',
  ]);
}

async function context(directory: string, name: string, steps: readonly string[]): Promise<void> {
  const place = path.join(directory, name);
  await mkdir(place);
  await writeFile(path.join(place, 'file'), 'copied\n');
  await writeFile(path.join(place, 'Dockerfile'), ['FROM base:1', ...steps, ''].join('\n'));
}

/** What the root of an image is, by what its engine exports of a container of it. */
export async function exportedPaths(tar: string, directory: string): Promise<string[]> {
  const root = path.join(directory, `${path.basename(tar)}.root`);
  await mkdir(root);
  await execa('tar', ['-xpf', tar, '--numeric-owner', '-C', root]);
  const { stdout } = await execa('busybox', ['sh', '-c', `cd "$1" && ${listScript}`, 'sh', root]);
  await execa('rm', ['-rf', root]);
  return stdout.split('\n').filter((line) => line.startsWith('PATH '));
}
