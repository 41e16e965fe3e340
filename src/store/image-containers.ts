import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../errors.ts';
import type { Digest } from '../image/digest.ts';
import type { StorePaths } from './paths.ts';

/** The names of the containers that are made of an image. What else they are, src/container knows. */
export function imageContainers(paths: StorePaths, id: Digest): string[] {
  if (!existsSync(paths.containers)) return [];
  return readdirSync(paths.containers).flatMap((directory) => {
    const record = readRecord(join(paths.containers, directory, 'container.json'));
    return record?.image.id === id ? [record.name] : [];
  });
}

function readRecord(path: string): { name: string; image: { id: string } } | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { name: string; image: { id: string } };
  } catch (error) {
    // It is being made or removed.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR' || error instanceof SyntaxError)
      return undefined;
    throw error;
  }
}
