import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { TemporaryDirectory } from './temporary-directory.ts';

/** Writes an initramfs of busybox and an init that runs `script`. Independent of ours: GNU cpio packs it. */
export async function writeInitramfs(target: string, script: string): Promise<void> {
  await using tree = await TemporaryDirectory.create();
  for (const directory of ['bin', 'proc', 'sys', 'dev', 'mnt']) await mkdir(path.join(tree.path, directory));
  await copyFile('/bin/busybox', path.join(tree.path, 'bin/busybox'));
  await writeFile(
    path.join(tree.path, 'init'),
    `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2> /dev/null
${script}
`,
  );
  await chmod(path.join(tree.path, 'init'), 0o755);
  const { stdout: names } = await execa('find', ['.'], { cwd: tree.path });
  await execa('cpio', ['--quiet', '-o', '-H', 'newc', '-O', target], { cwd: tree.path, input: names });
}
