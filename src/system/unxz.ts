import { once } from 'node:events';
import { ImgbootError } from '../errors.ts';
import { startProcess } from './process.ts';

/**
 * Unpacks .xz or .lzma data with the xz of this machine: Node has none.
 * @throws IMGBOOT_NEEDS_XZ, IMGBOOT_BAD_XZ
 */
export async function unxz(bytes: Buffer): Promise<Buffer> {
  const child = await startProcess('xz', ['--decompress', '--stdout'], { stdin: 'pipe', stdout: 'pipe' });
  const parts: Buffer[] = [];
  child.stdout!.on('data', (part: Buffer) => parts.push(part));
  child.stdin!.end(bytes);
  await once(child.stdout!, 'end');
  const { exitCode, stderr } = await child.exited;
  if (exitCode === 0) return Buffer.concat(parts);
  if (exitCode === 127) {
    throw new ImgbootError('IMGBOOT_NEEDS_XZ', 'xz is not installed, and files to unpack are .xz', {
      hint: 'install it: apt-get install xz-utils',
    });
  }
  throw new ImgbootError('IMGBOOT_BAD_XZ', `xz cannot unpack the data: ${stderr.trim()}`, {
    hint: 'the file is damaged',
  });
}
