import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { bootImage, consoleLayer, packLayer, type BootImage } from './boot-fixtures.ts';
import { bookwormTar } from './fixtures.ts';
import { repository } from './paths.ts';

/** The Debian 12 of most tests with imgboot in it. */
export async function packagedImage(): Promise<BootImage> {
  return await bootImage('packaged', async (work) => [
    await bookwormTar(),
    await consoleLayer(),
    await packageLayer(work),
  ]);
}

/** A layer tar of what `npm run package` makes, unpacked below /opt/imgboot. */
export async function packageLayer(work: string): Promise<string> {
  const output = path.join(work, 'package');
  await execa(process.execPath, ['qemu/package.ts', output, 'tarball'], {
    cwd: repository,
    env: { PATH: `${path.join(repository, 'node_modules/.bin')}:${process.env['PATH']}` },
  });
  const tree = path.join(work, 'package-tree');
  await mkdir(path.join(tree, 'opt/imgboot'), { recursive: true });
  const { stdout: tarball } = await execa('find', [output, '-name', '*.tar.gz']);
  await execa('tar', ['-xzf', tarball, '-C', path.join(tree, 'opt/imgboot'), '--strip-components=1']);
  const layer = path.join(work, 'package-layer.tar');
  await packLayer(tree, layer);
  return layer;
}
