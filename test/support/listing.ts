import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { execa } from 'execa';

/** Every path below a directory with its type, mode, owner, size, time, links, target and content. */
export async function listing(directory: string): Promise<string[]> {
  const { stdout } = await execa('find', [directory, '-printf', String.raw`%y %m %U %G %s %T@ %n %l %p\0`]);
  return stdout
    .split('\0')
    .filter(Boolean)
    .map((line) => (line.startsWith('f ') ? `${line} ${hashOf(line.slice(line.indexOf(directory)))}` : line))
    .sort();
}

function hashOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
