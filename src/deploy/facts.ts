import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readBootReport } from '../boot/boot-report.ts';
import type { StorePaths } from '../store/paths.ts';
import { allVersions, versionDirectory, type Deployments } from './deployments.ts';

/** What booted systems and initramfs images have left: what is known of versions besides what was decided. */
export interface Facts {
  /** The version that is running. */
  booted: string | undefined;
  /** When a boot of a version was last good, in milliseconds, by id; none where none was. */
  good: ReadonlyMap<string, number>;
  /** Boots that were begun and not found good. */
  tries: ReadonlyMap<string, number>;
}

export function readFacts(paths: StorePaths, deployments: Pick<Deployments, 'deployments'>): Facts {
  const good = new Map<string, number>();
  const tries = new Map<string, number>();
  for (const version of allVersions(deployments)) {
    const directory = versionDirectory(paths, version);
    const stats = statSync(join(directory, 'good'), { throwIfNoEntry: false });
    if (stats !== undefined) good.set(version.id, stats.mtimeMs);
    const count = readTries(join(directory, 'tries'));
    if (count > 0) tries.set(version.id, count);
  }
  return { booted: readBootReport()?.deployment?.got, good, tries };
}

/** What the initramfs counts; nothing where the file is missing or says nothing. */
function readTries(path: string): number {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || 0;
  } catch {
    return 0;
  }
}
