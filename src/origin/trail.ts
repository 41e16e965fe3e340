import { readlinkSync } from 'node:fs';
import type { Found } from './levels.ts';

/** linux/namei.h */
const MAXSYMLINKS = 40;

/** Where a path leads in a root file system. All paths are byte strings. */
export interface Trail {
  /** The links among the directories of the path and of what it leads to. */
  through: { path: string; target: string }[];
  /** The path with those links followed; where a link is there, what it leads to, and so on. The last may not be there. */
  stops: string[];
}

/**
 * Follows a path as a process would whose root it is: an absolute link begins at the root, and `..` ends there.
 * @param find what lies at a path without links
 */
export function followPath(path: string, find: (path: string) => Found | undefined): Trail {
  const trail: Trail = { through: [], stops: [] };
  let hops = 0;
  let walked = '';
  let rest = partsOf(path);
  while (rest.length > 0) {
    const [part, ...after] = rest as [string, ...string[]];
    rest = after;
    if (part === '..') {
      walked = walked.slice(0, Math.max(0, walked.lastIndexOf('/')));
      continue;
    }
    const here = `${walked}/${part}`;
    const isLast = rest.length === 0;
    const found = find(here);
    // A link that leads back to itself.
    if (isLast && trail.stops.includes(here)) return trail;
    if (isLast) trail.stops.push(here);
    if (found?.stats.isSymbolicLink() !== true) {
      walked = here;
      continue;
    }
    hops += 1;
    if (hops > MAXSYMLINKS) return trail;
    const target = readlinkSync(found.file, 'latin1');
    if (!isLast) trail.through.push({ path: here, target });
    if (target.startsWith('/')) walked = '';
    rest = [...partsOf(target), ...rest];
  }
  if (trail.stops.at(-1) !== walked) trail.stops.push(walked);
  return trail;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
